import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import Typebox from 'typebox'
import { describe, expect, test } from 'vitest'
import Type from '../../shared/schema.ts'

/** All members, those that JSON does not show too. */
function whole(schema: unknown): unknown {
  if (typeof schema !== 'object' || schema === null) return schema
  if (Array.isArray(schema)) return schema.map(whole)
  const members = Object.entries(Object.getOwnPropertyDescriptors(schema))
  return members.map(([name, { value, enumerable }]) => [name, enumerable, whole(value)]).sort()
}

const EXAMPLES: [string, (type: typeof Type) => unknown][] = [
  ['texts', (type) => type.String({ minLength: 1, pattern: '^a', description: 'x' })],
  ['numbers', (type) => [type.Number({ minimum: 0 }), type.Integer(), type.Boolean(), type.Null({ title: 'n' })]],
  ['literals', (type) => [type.Literal('a'), type.Literal(1), type.Literal(true, { description: 'x' })]],
  ['enums', (type) => type.Enum(['a', 'b'], { description: 'x' })],
  ['anything', (type) => [type.Unknown(), type.Unknown({ description: 'x' })]],
  ['lists', (type) => type.Array(type.String(), { maxItems: 3 })],
  ['unions', (type) => type.Union([type.Literal('a'), type.Null()], { default: null })],
  [
    'objects',
    (type) => type.Object({ a: type.Number(), b: type.Optional(type.Number()) }, { additionalProperties: false }),
  ],
  ['objects without members', (type) => type.Object({})],
  ['objects without required members', (type) => type.Object({ a: type.Optional(type.Null()) })],
  ['maps', (type) => type.Record(type.String({ maxLength: 3 }), type.Number())],
  [
    'maps by pattern',
    (type) => type.Record(type.String({ pattern: '^x$' }), type.Number(), { additionalProperties: false }),
  ],
  ['types of our own', (type) => type.Optional(type.Unsafe<'a'>(type.Union([type.Literal('a')])))],
]

describe('a schema is the one that typebox would have made', () => {
  test.each(EXAMPLES)('%s', (_name, build) => {
    expect(whole(build(Type))).toEqual(whole(build(Typebox)))
  })
})

test('what is made optional somewhere is not optional elsewhere', () => {
  const name = Type.String()
  const optional = Type.Optional(name)
  expect(Type.Object({ name }).required).toEqual(['name'])
  expect(Type.Object({ name: optional })).not.toHaveProperty('required')
})

test('typebox itself is loaded only where something is checked with it', () => {
  const root = join(import.meta.dirname, '../..')
  const loading = globSync('{agent,cli,coordinator,shared}/**/*.ts', { cwd: root }).filter((path) =>
    /^import (?!type )[^\n]* from 'typebox/m.test(readFileSync(join(root, path), 'utf8')),
  )
  expect(loading.sort()).toEqual([
    'coordinator/api/check-input.ts',
    'shared/compose/to-stack.ts',
    'shared/wire/faults.ts',
    'shared/wire/make-checks.ts',
  ])
})
