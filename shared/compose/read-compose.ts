/** Compose files, as people have them, → a stack. */
import path from 'node:path'
import type { StackSpec } from '../spec.ts'
import { readEnvironmentFiles } from './env-files.ts'
import { ComposeError, type Finding } from './findings.ts'
import { directoryOf, loadModel, own } from './model.ts'
import { readServiceFiles } from './service-files.ts'
import { type ComposeOptions, type Environment, ReadSession } from './session.ts'
import { chooseStackName } from './stack-name.ts'
import { toStack } from './to-stack.ts'
import type { MapNode } from './tree.ts'

export { ComposeError, type Finding, formatFinding } from './findings.ts'
export type { ComposeOptions } from './session.ts'

const USUAL_NAMES = ['compose.yaml', 'compose.yml', 'docker-compose.yaml', 'docker-compose.yml']

/**
 * Reads, merges and checks; nothing but `options.readFile` is asked. Throws a ComposeError with every finding when one
 * of them is an error; otherwise the findings are warnings.
 */
export async function readCompose(options: ComposeOptions): Promise<{ stack: StackSpec; findings: Finding[] }> {
  const session = new ReadSession(options)
  const { findings } = session
  const { files, directory, environment } = await chooseFiles(session)
  const documents = await Promise.all(
    files.map((file) => session.documents(file, { place: session.startOf(file), path: '' })),
  )
  const readable = documents.every((document) => document !== undefined)
  if (files.length === 0 || !readable) throw new ComposeError(findings.sorted())

  const name = chooseStackName(session, documents.flat() as MapNode[], environment, directory)
  const withName = { ...environment, COMPOSE_PROJECT_NAME: name }
  const model = await loadModel({ session, files, directory, environment: withName, includedBy: [] })
  const serviceFiles = await readServiceFiles(model, session, withName)
  const profiles = wantedProfiles(options, environment)
  const stack = toStack({ model, name, profiles, files: serviceFiles, environment: withName, findings })
  if (findings.hasErrors) throw new ComposeError(findings.sorted())
  return { stack, findings: findings.sorted() }
}

type Chosen = { files: string[]; directory: string; environment: Environment }

/** Files from the options, else from COMPOSE_FILE, else by their usual names. `.env` below the process's environment. */
async function chooseFiles(session: ReadSession): Promise<Chosen> {
  const { options } = session
  const given = options.files.map((file) => session.fromOption(file))
  const start = given[0] === undefined ? session.workingDirectory : directoryOf(given[0], session)
  const directory =
    options.projectDirectory === undefined ? start : path.resolve(session.workingDirectory, options.projectDirectory)
  const envFiles = (options.envFiles ?? []).map((file) => session.fromOption(file))
  const fromFiles = await readEnvironmentFiles(session, directory, envFiles, options.environment)
  const environment = { ...fromFiles, ...options.environment }
  if (given.length > 0) return { files: given, directory, environment }
  const listed = own(environment, 'COMPOSE_FILE')
  if (listed) {
    const separator = own(environment, 'COMPOSE_PATH_SEPARATOR') ?? ':'
    return { files: listed.split(separator).map((file) => path.resolve(directory, file)), directory, environment }
  }
  return { files: await usualFiles(session, directory), directory, environment }
}

/** The first usual name that is there, and its `.override` beside it. */
async function usualFiles(session: ReadSession, directory: string): Promise<string[]> {
  for (const name of USUAL_NAMES) {
    const file = path.join(directory, name)
    if (!(await session.exists(file))) continue
    const base = name.slice(0, name.lastIndexOf('.'))
    for (const extension of ['.yaml', '.yml']) {
      const override = path.join(directory, `${base}.override${extension}`)
      if (await session.exists(override)) return [file, override]
    }
    return [file]
  }
  const nowhere = { file: '', line: 0, column: 0 }
  session.findings.error(
    nowhere,
    '',
    `no Compose file in ${directory}: there is none of ${USUAL_NAMES.join(', ')}; name it with -f`,
  )
  return []
}

function wantedProfiles(options: ComposeOptions, environment: Environment): string[] {
  const listed = own(environment, 'COMPOSE_PROFILES') ?? ''
  return [...options.profiles, ...listed.split(',').map((profile) => profile.trim())].filter(
    (profile) => profile !== '',
  )
}
