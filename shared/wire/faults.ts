/** What is wrong with a message that its check refused. Loaded only when there is one: it brings in all of typebox. */
import type { TSchema } from 'typebox'
import { Compile } from 'typebox/compile'
import { DownMessage } from './down.ts'
import { UpMessage } from './up.ts'

/** The first fault's place and reason, e.g. `at /load/cpuCoresUsed: must be >= 0`; null when typebox finds none. */
export function firstFault(direction: 'up' | 'down', kind: string, value: unknown): string | null {
  const schemas: readonly (TSchema & { properties: { kind: { const: string } } })[] =
    direction === 'up' ? UpMessage.anyOf : DownMessage.anyOf
  const schema = schemas.find(({ properties }) => properties.kind.const === kind)
  const [fault] = schema ? Compile(schema).Errors(value) : []
  return fault ? `at ${fault.instancePath || '/'}: ${fault.message}` : null
}
