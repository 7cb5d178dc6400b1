/** What a route's schema says of what comes in. Loaded with the first that is to be checked: it brings in all of typebox. */
import type { TSchema } from 'typebox'
import { Compile } from 'typebox/compile'
import { Value } from 'typebox/value'

export type CheckInput = (value: unknown) => { value: unknown } | { error: Error }

/**
 * A body must be what its schema says as it stands; parameters and queries are texts, so they are read as the types of their
 * schema, and defaults are filled in.
 */
export function checkOf(schema: TSchema, part: string | undefined): CheckInput {
  const compiled = Compile(schema)
  return (value) => {
    const read = part === 'body' ? value : Value.Default(schema, Value.Convert(schema, value))
    if (compiled.Check(read)) return { value: read }
    return { error: compiled.Errors(read) as unknown as Error }
  }
}
