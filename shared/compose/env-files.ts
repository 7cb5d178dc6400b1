/** `.env` and what stands in its place: the variables of a project below those of the process. */
import path from 'node:path'
import { type EnvFile, parseEnvFile } from './dotenv.ts'
import type { Environment, ReadSession } from './session.ts'

/** `files` empty: `.env` in `directory`, when there is one. Later files win; `environment` answers first inside them. */
export async function readEnvironmentFiles(
  session: ReadSession,
  directory: string,
  files: string[],
  environment: Environment,
): Promise<Environment> {
  const usual = path.join(directory, '.env')
  const wanted = files.length > 0 ? files : (await session.exists(usual)) ? [usual] : []
  const values: Environment = {}
  for (const file of wanted) {
    const text = await session.text(file, { place: session.startOf(file), path: '' })
    if (text === undefined) continue
    const parsed = parseEnvFile(text, (name) => own(environment, name) ?? own(values, name))
    tellProblems(session, file, parsed)
    for (const [name, value] of parsed.values) if (value !== undefined) values[name] = value
  }
  return values
}

/** Not what every object has, such as `constructor`. */
function own(environment: Environment, name: string): string | undefined {
  return Object.hasOwn(environment, name) ? environment[name] : undefined
}

export function tellProblems(session: ReadSession, file: string, parsed: EnvFile): void {
  const shown = session.show(file)
  for (const { line, message } of parsed.problems) session.findings.error({ file: shown, line, column: 1 }, '', message)
  for (const { line, name } of parsed.unset) session.warnOfUnset(name, { file: shown, line, column: 1 }, '')
}
