import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { ERROR_CODES } from '../../shared/errors.ts'

test('docs/errors.md lists every error code with its status and exit code, and no other', () => {
  const text = readFileSync(new URL('../../docs/errors.md', import.meta.url), 'utf8')
  const rows = [...text.matchAll(/^\| `([a-z-]+)` +\| +(\d+) \| +(\d) \| \S/gm)]
  const listed = Object.fromEntries(
    rows.map(([, code, status, exit]) => [code, { status: Number(status), exit: Number(exit) }]),
  )
  expect(listed).toEqual(ERROR_CODES)
})
