/**
 * Builds schemas, word for word as typebox does. What they describe are types, which cost nothing at run time, and checks, which are
 * written down (wire) or made by typebox when the first one is needed (API). So starting need not wait for typebox itself:
 * its 683 files are a third of a second on a slow machine (docs/decisions/wire-checks.md). A test holds both to the same.
 */
import type Typebox from 'typebox'

export type { Static, TSchema } from 'typebox'

type Builders =
  | 'Array'
  | 'Boolean'
  | 'Enum'
  | 'Integer'
  | 'Literal'
  | 'Null'
  | 'Number'
  | 'Object'
  | 'Optional'
  | 'Record'
  | 'String'
  | 'Union'
  | 'Unknown'
  | 'Unsafe'

type Schema = Record<string, unknown>
type Options = Schema | undefined

const builders = {
  Array: (items: Schema, options: Options) => kind('Array', { type: 'array', items }, options),
  Boolean: (options: Options) => kind('Boolean', { type: 'boolean' }, options),
  Enum: (values: unknown[], options: Options) => kind('Enum', { enum: values }, options),
  Integer: (options: Options) => kind('Integer', { type: 'integer' }, options),
  Literal: (value: unknown, options: Options) => kind('Literal', { type: typeof value, const: value }, options),
  Null: (options: Options) => kind('Null', { type: 'null' }, options),
  Number: (options: Options) => kind('Number', { type: 'number' }, options),
  Object(properties: Record<string, Schema>, options: Options) {
    const required = Object.keys(properties).filter((name) => !('~optional' in properties[name]!))
    return kind('Object', { type: 'object', ...(required.length > 0 && { required }), properties }, options)
  },
  Optional: (schema: Schema) => mark(copyOf(schema), '~optional', true),
  Record(key: Schema, value: Schema, options: Options) {
    const pattern = typeof key.pattern === 'string' ? key.pattern : '^.*$'
    return kind('Record', { type: 'object', patternProperties: { [pattern]: value } }, options)
  },
  String: (options: Options) => kind('String', { type: 'string' }, options),
  Union: (anyOf: Schema[], options: Options) => kind('Union', { anyOf }, options),
  Unknown: (options: Options) => kind('Unknown', {}, options),
  Unsafe: (schema: Schema) => mark(copyOf(schema), '~unsafe', null),
} satisfies Record<Builders, unknown>

/** typebox tells kinds apart by members that JSON does not show. */
function kind(name: string, schema: Schema, options: Options): Schema {
  return mark({ ...schema, ...options }, '~kind', name)
}

function mark(schema: Schema, name: string, value: unknown): Schema {
  return Object.defineProperty(schema, name, { value, enumerable: false, writable: true, configurable: true })
}

function copyOf(schema: Schema): Schema {
  return Object.defineProperties({}, Object.getOwnPropertyDescriptors(schema))
}

export default builders as unknown as Pick<typeof Typebox, Builders>
