/** Checks what comes in against typebox schemas, once, at the door. */
import type { FastifySchemaCompiler } from 'fastify'
import type { TSchema } from 'typebox'
import { Compile } from 'typebox/compile'
import { Value } from 'typebox/value'

/**
 * A body must be what its schema says as it stands; parameters and queries are texts, so they are read as the types of their
 * schema, and defaults are filled in.
 */
export const compileValidator: FastifySchemaCompiler<TSchema> = ({ schema, httpPart }) => {
  const compiled = Compile(schema)
  return (value: unknown) => {
    const read = httpPart === 'body' ? value : Value.Default(schema, Value.Convert(schema, value))
    if (compiled.Check(read)) return { value: read }
    return { error: compiled.Errors(read) as unknown as Error }
  }
}
