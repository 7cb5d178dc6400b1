/** Whatever a file holds, it is answered by a stack that is valid or by findings that can be read. */
import fc from 'fast-check'
import Value from 'typebox/value'
import { expect, it } from 'vitest'
import { ALL_SERVICE_FIELDS } from '../../../shared/compose/fields/known.ts'
import { ComposeError } from '../../../shared/compose/read-compose.ts'
import { StackSpec } from '../../../shared/spec.ts'
import { read } from './reading.ts'

const words = [
  '',
  'a',
  'web',
  'a:b',
  '/a:/b',
  '80:80',
  '1-2:3-4',
  '10s',
  '5M',
  '-1',
  '0',
  '1e99',
  '$A',
  '${A:-',
  'A=1',
  '=',
  '[::1]:1:1',
  'on-failure:x',
  'service:web',
  '__proto__',
  'constructor',
  'node.id == a',
]
const scalar = fc.oneof(
  fc.constantFrom(...words),
  fc.constant(null),
  fc.boolean(),
  fc.integer(),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.string(),
)
const inner = [
  'target',
  'source',
  'type',
  'published',
  'test',
  'interval',
  'soft',
  'hard',
  'mode',
  'replicas',
  'resources',
  'limits',
  'memory',
  'cpus',
  'placement',
  'constraints',
  'condition',
  'file',
  'service',
  'path',
  'driver',
  'options',
  'size',
  'bind',
  'tmpfs',
  'external',
  'name',
  'x-berth',
  'default',
  '__proto__',
  'web',
]
const { value } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    scalar,
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom(...inner), tie('value'), { maxKeys: 4 }),
  ),
}))

async function answers(document: unknown, over?: unknown): Promise<void> {
  const files = { 'a.yaml': JSON.stringify(document), 'b.yaml': JSON.stringify(over ?? {}) }
  try {
    const { stack } = await read(files, { files: over === undefined ? ['a.yaml'] : ['a.yaml', 'b.yaml'] })
    expect([...Value.Errors(StackSpec, stack)]).toEqual([])
  } catch (error) {
    if (!(error instanceof ComposeError)) throw error
    expect(error.findings.some((finding) => finding.level === 'error')).toBe(true)
    for (const finding of error.findings) {
      expect(finding.message).not.toBe('')
      expect(finding.message).not.toMatch(/undefined|NaN|\[object/)
    }
  }
}

const field = fc.constantFrom(...ALL_SERVICE_FIELDS)

it('in any field of a service', async () => {
  await fc.assert(
    fc.asyncProperty(fc.dictionary(field, value, { maxKeys: 4 }), (fields) =>
      answers({ services: { web: { image: 'a', ...fields } } }),
    ),
    { numRuns: 1000 },
  )
})

it('in fields that two files merge', async () => {
  await fc.assert(
    fc.asyncProperty(field, value, value, (name, one, two) =>
      answers({ services: { web: { image: 'a', [name]: one } } }, { services: { web: { [name]: two } } }),
    ),
    { numRuns: 500 },
  )
})

it('at the top', async () => {
  const top = fc.constantFrom(
    'services',
    'volumes',
    'networks',
    'include',
    'name',
    'version',
    'secrets',
    'x-a',
    'other',
  )
  await fc.assert(
    fc.asyncProperty(fc.dictionary(top, value), (document) => answers(document)),
    { numRuns: 500 },
  )
})

it('in any text', async () => {
  const unit = fc.constantFrom(
    'services',
    'web',
    'image',
    ':',
    ' ',
    '\n',
    '  ',
    '- ',
    '{',
    '}',
    '[',
    ']',
    '&a ',
    '*a',
    '<<',
    '!reset ',
    '"',
    "'",
    '|',
    '#',
    '$',
    '\t',
  )
  await fc.assert(
    fc.asyncProperty(fc.string({ unit, maxLength: 60 }), async (text) => {
      await read(text).catch((error: unknown) => expect(error).toBeInstanceOf(ComposeError))
    }),
    { numRuns: 1000 },
  )
})

it('a thousand services are read in reasonable time', async () => {
  const services = Array.from(
    { length: 1000 },
    (_, index) => `  s${index}: {image: a, ports: ["80"], depends_on: [${index ? `s${index - 1}` : ''}]}`,
  )
  const { stack } = await read(`services:\n${services.join('\n')}\n`)
  expect(Object.keys(stack.services)).toHaveLength(1000)
})
