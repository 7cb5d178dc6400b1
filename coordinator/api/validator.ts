/** Checks what comes in against the routes' schemas, once, at the door. */
import { createRequire } from 'node:module'
import type { FastifySchemaCompiler, FastifyServerOptions } from 'fastify'
import type { TSchema } from '../../shared/schema.ts'
import type { CheckInput, checkOf as CheckOf } from './check-input.ts'

const require = createRequire(import.meta.url)

/** A check is made when its route is first asked, so that a coordinator that starts serves before it has made them all. */
const compileValidator: FastifySchemaCompiler<TSchema> = ({ schema, httpPart }) => {
  let check: CheckInput | null = null
  return (value: unknown) => {
    check ??= (require('./check-input.ts') as { checkOf: typeof CheckOf }).checkOf(schema, httpPart)
    return check(value)
  }
}

type SchemaController = NonNullable<FastifyServerOptions['schemaController']>

/**
 * Given to fastify when it is made, so that it does not load the compilers it comes with. Schemas describe the answers and tests hold
 * them to it; fastify's own serializer would drop what a schema forgot.
 */
export const schemaController = {
  compilersFactory: { buildValidator: () => compileValidator, buildSerializer: () => () => JSON.stringify },
} as unknown as SchemaController
