/**
 * Writes checks.ts: the checks of all messages as plain functions, so that an agent needs neither typebox nor a compiler at
 * run time, which would be a third of its memory (docs/decisions/wire-checks.md). `npm run wire-checks` after a change of a
 * message; a test compares what is written with what would be.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { TSchema } from 'typebox'
import { Code } from 'typebox/compile'
import { DownMessage } from './down.ts'
import { UpMessage } from './up.ts'

export const CHECKS_PATH = join(import.meta.dirname, 'checks.ts')

type MessageSchema = TSchema & { properties: { kind: { const: string } } }

const HEAD = `// @ts-nocheck
// Made by make-checks.ts (\`npm run wire-checks\`) from up.ts and down.ts. Not to be edited.

const Guard = {
  CodePointCount(text) {
    let count = 0
    for (const _ of text) count++
    return count
  },
}
`

export function checksSource(): string {
  return `${HEAD}${family('UP_CHECKS', UpMessage.anyOf)}${family('DOWN_CHECKS', DownMessage.anyOf)}`
}

function family(name: string, schemas: readonly MessageSchema[]): string {
  const members = schemas.map((schema) => `  '${schema.properties.kind.const}': ${check(schema)},\n`)
  return `\n/** By kind: whether a value is such a message. */\nexport const ${name}: Record<string, (value: unknown) => boolean> = {\n${members.join('')}}\n`
}

/** A module of typebox's own making, turned into a function that brings along what the module would import. */
function check(schema: TSchema): string {
  const { Code: source, External: external } = Code(schema)
  const patterns = (external?.variables ?? []).map((variable: unknown) => {
    if (variable instanceof RegExp) return String(variable)
    throw new Error(`a check needs a ${typeof variable}, which cannot be written down`)
  })
  const functions = source.split('\n').filter((line) => line.startsWith('const check_'))
  const last = /return (check_\d+)\(value\)/.exec(source)?.[1]
  if (functions.length === 0 || last === undefined) throw new Error('typebox writes its checks in another form now')
  return `(() => {\nconst External = [${patterns.join(', ')}]\n${functions.join('\n')}\nreturn ${last}\n})()`
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) writeFileSync(CHECKS_PATH, checksSource())
