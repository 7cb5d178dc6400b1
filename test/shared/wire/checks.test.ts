import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { CHECKS_PATH, checksSource } from '../../../shared/wire/make-checks.ts'

test('the written checks are those of the messages as they are', () => {
  const isCurrent = readFileSync(CHECKS_PATH, 'utf8') === checksSource()
  expect(isCurrent, 'a message has changed: run `npm run wire-checks`').toBe(true)
})
