import { readFileSync } from 'node:fs'
import path from 'node:path'
import { expect, it } from 'vitest'
import { ALL_SERVICE_FIELDS, REFUSED, WARNED } from '../../../shared/compose/fields/known.ts'

const page = readFileSync(path.join(import.meta.dirname, '../../../docs/compose.md'), 'utf8')

it.each(ALL_SERVICE_FIELDS)('docs/compose.md says what becomes of %s', (field) =>
  expect(page).toContain(`\`${field}\``),
)

it.each(Object.entries({ ...WARNED, ...REFUSED }))('docs/compose.md gives the reason for %s', (field, reason) => {
  expect(page).toMatch(new RegExp(`\\| \`${field}\`\\s+\\| ${reason.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}`))
})
