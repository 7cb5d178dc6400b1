/** Reads Compose files that exist only in a test: paths are relative to `/project`. */
import path from 'node:path'
import {
  ComposeError,
  type ComposeOptions,
  type Finding,
  formatFinding,
  readCompose,
} from '../../../shared/compose/read-compose.ts'
import type { ContainerSpec, ServiceSpec, StackSpec } from '../../../shared/spec.ts'

export const PROJECT = '/project'

type Files = Record<string, string>
type Reading = { stack: StackSpec; findings: Finding[]; warnings: string[] }

/** `files` is one compose.yaml, or several files of which the first is read unless the options say otherwise. */
export async function read(files: string | Files, options: Partial<ComposeOptions> = {}): Promise<Reading> {
  const all: Files = typeof files === 'string' ? { 'compose.yaml': files } : files
  const result = await readCompose({
    files: [Object.keys(all)[0]!],
    stack: 'test',
    profiles: [],
    environment: {},
    workingDirectory: PROJECT,
    readFile: async (file) => {
      const text = all[path.isAbsolute(file) ? path.relative(PROJECT, file) : file]
      if (text === undefined) throw Object.assign(new Error(`no file ${file}`), { code: 'ENOENT' })
      return text
    },
    ...options,
  })
  return { ...result, warnings: result.findings.map(formatFinding) }
}

/** The findings of a file that must be refused, as printed. */
export async function refusal(files: string | Files, options: Partial<ComposeOptions> = {}): Promise<string[]> {
  try {
    await read(files, options)
  } catch (error) {
    if (error instanceof ComposeError) return error.findings.map(formatFinding)
    throw error
  }
  throw new Error('the file was accepted')
}

/** The spec of a service `web` with these fields below its image. Lines are indented by the caller's first line. */
export async function service(fields: string, rest = '', options: Partial<ComposeOptions> = {}): Promise<ServiceSpec> {
  const { stack } = await read(webFile(fields, rest), options)
  return stack.services.web!
}

export async function container(
  fields: string,
  rest = '',
  options: Partial<ComposeOptions> = {},
): Promise<ContainerSpec> {
  return (await service(fields, rest, options)).task.container
}

export function webFile(fields: string, rest = ''): string {
  return `services:\n  web:\n    image: app:1\n${indented(fields, 4)}\n${rest}`
}

function indented(text: string, by: number): string {
  const lines = text
    .split('\n')
    .filter((line, index, all) => line.trim() !== '' || (index > 0 && index < all.length - 1))
  const margin = Math.min(...lines.filter((line) => line.trim() !== '').map((line) => line.search(/\S/)))
  return lines.map((line) => (line.trim() === '' ? '' : ' '.repeat(by) + line.slice(margin))).join('\n')
}
