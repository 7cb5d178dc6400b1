/** Compose files as the commands read them: where they are called, with the environment that they are called in. */
import { readFile } from 'node:fs/promises'
import { text } from 'node:stream/consumers'
import { BerthError } from '../shared/errors.ts'
import type { StackSpec } from '../shared/spec.ts'
import type { Context } from './context.ts'

export type ReadOptions = {
  file?: string[]
  stack?: string
  profile?: string[]
  envFile?: string[]
  projectDirectory?: string
  allowUnsupported?: boolean
}

/** Reads the Compose files; findings go to stderr. @throws BerthError `invalid-file` */
export async function readStack({ out, env }: Context, options: ReadOptions): Promise<StackSpec> {
  // Loaded only here: reading Compose is most of what the command would otherwise spend its start on.
  const { readCompose, ComposeError, formatFinding } = await import('../shared/compose/read-compose.ts')
  try {
    const { stack, findings } = await readCompose({
      files: options.file ?? [],
      ...(options.stack === undefined ? {} : { stack: options.stack }),
      profiles: options.profile ?? [],
      environment: definedOf(env),
      readFile: (path: string) => (path === '-' ? text(process.stdin) : readFile(path, 'utf8')),
      ...(options.projectDirectory === undefined ? {} : { projectDirectory: options.projectDirectory }),
      ...(options.envFile === undefined ? {} : { envFiles: options.envFile }),
      allowUnsupported: options.allowUnsupported ?? false,
    })
    for (const finding of findings) out.note(formatFinding(finding))
    return stack
  } catch (error) {
    if (!(error instanceof ComposeError)) throw error
    const message = error.findings.map(formatFinding).join('\n')
    throw new BerthError('invalid-file', message, { cause: error, details: { findings: error.findings } })
  }
}

function definedOf(env: NodeJS.ProcessEnv): Record<string, string> {
  return Object.fromEntries(Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined))
}
