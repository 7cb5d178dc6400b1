/** Turns a message schema into a generator of values that fit it, so that properties hold for every message and field. */
import fc from 'fast-check'

type Schema = {
  type?: string
  const?: unknown
  enum?: unknown[]
  anyOf?: Schema[]
  items?: Schema
  minItems?: number
  required?: string[]
  properties?: Record<string, Schema>
  patternProperties?: Record<string, Schema>
  minimum?: number
  maximum?: number
  minLength?: number
  maxLength?: number
  pattern?: string
}

export function arbitraryOf(given: object): fc.Arbitrary<unknown> {
  const schema: Schema = given
  if (schema.const !== undefined) return fc.constant(schema.const)
  if (schema.enum) return fc.constantFrom(...schema.enum)
  if (schema.anyOf) return fc.oneof(...schema.anyOf.map(arbitraryOf))
  if (schema.type === 'boolean') return fc.boolean()
  if (schema.type === 'integer') return fc.maxSafeInteger().map((number) => within(schema, number))
  if (schema.type === 'number') {
    return fc.double({ noNaN: true, noDefaultInfinity: true }).map((number) => within(schema, number))
  }
  if (schema.type === 'string') return textFor(schema)
  if (schema.type === 'array')
    return fc.array(arbitraryOf(schema.items!), { minLength: schema.minItems ?? 0, maxLength: 4 })
  if (schema.patternProperties) return recordOf(Object.values(schema.patternProperties)[0]!)
  if (schema.type === 'object') return objectOf(schema)
  throw new Error(`no generator for ${JSON.stringify(schema)}`)
}

function objectOf(schema: Schema): fc.Arbitrary<unknown> {
  const members = Object.entries(schema.properties!).map(([key, member]) => [key, arbitraryOf(member)] as const)
  return fc.record(Object.fromEntries(members), { requiredKeys: schema.required ?? [], noNullPrototype: true })
}

function recordOf(member: Schema): fc.Arbitrary<unknown> {
  const key = fc.string({ maxLength: 20, unit: 'grapheme' }).filter((text) => text !== '__proto__')
  return fc.dictionary(key, arbitraryOf(member), { maxKeys: 4, noNullPrototype: true })
}

function textFor(schema: Schema): fc.Arbitrary<string> {
  const maxLength = Math.min(schema.maxLength ?? 40, 40)
  const text = fc.string({ minLength: schema.minLength ?? 0, maxLength, unit: 'grapheme' })
  // Graphemes are longer than one unit: cut to fit, and not through the middle of a pair.
  return text.map((long) => long.slice(0, maxLength).toWellFormed())
}

/** Minus zero travels as zero. */
function within({ minimum, maximum }: Schema, number: number): number {
  const positive = minimum !== undefined && number < minimum ? Math.abs(number) : number
  if (minimum !== undefined && positive < minimum) return minimum
  if (maximum !== undefined && positive > maximum) return maximum
  return positive === 0 ? 0 : positive
}
