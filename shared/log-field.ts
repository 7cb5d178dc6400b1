/** What is asked of a field of JSON log lines, as people write it: `status>=500`, `user.id=42`, `path!=/healthz`, `error`. */
import { numberIn } from './constraint.ts'

export const FIELD_OPERATORS = ['exists', '=', '!=', '>', '>=', '<', '<='] as const
export type FieldOperator = (typeof FIELD_OPERATORS)[number]

/** `value`: empty for `exists`. */
export type FieldTest = { path: string; operator: FieldOperator; value: string }

export const FIELD_TESTS_MAX = 16
export const FIELD_TEST_CHARS_MAX = 300
/** A dot may be part of a name or lead to the field below, so each doubles the ways to look. */
const FIELD_PARTS_MAX = 8

const TEST = /^\s*([^=!<>\s]+)\s*(?:(!=|>=|<=|==|=|>|<)(.*))?$/s

export type ReadFieldTest = { ok: true; test: FieldTest } | { ok: false; why: string }

export function parseFieldTest(text: string): ReadFieldTest {
  const [, path, sign, rest = ''] = TEST.exec(text) ?? []
  if (path === undefined) return { ok: false, why: `"${text}" asks nothing of a field; write it like ${EXAMPLES}` }
  if (path.split('.').length > FIELD_PARTS_MAX)
    return { ok: false, why: `"${path}" has more than ${FIELD_PARTS_MAX} parts` }
  const operator = sign === undefined ? 'exists' : sign === '==' ? '=' : (sign as FieldOperator)
  const value = rest.trim()
  if (/[<>]/.test(operator) && numberIn(value) === null)
    return { ok: false, why: `"${text}" compares numbers, and "${value}" is none; write it like status>=500` }
  return { ok: true, test: { path, operator, value } }
}

const EXAMPLES = 'status>=500, user.id=42, path!=/healthz, or error for any value'
