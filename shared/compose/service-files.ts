/** `env_file` and `label_file`: files whose lines stand below a service's own `environment` and `labels`. */
import { RESERVED_LABEL_PREFIX } from '../labels.ts'
import { FORBIDDEN_KEY } from '../names.ts'
import { parseEnvFile, parseRawEnvFile } from './dotenv.ts'
import { tellProblems } from './env-files.ts'
import { FORBIDDEN_NAME } from './field.ts'
import { asList } from './merge-rules.ts'
import type { Environment, ReadSession } from './session.ts'
import { isNull, type MapNode, member, type Node, stringOf, textOf } from './tree.ts'

/** By the service's name. A key alone on its line has the value of the project's environment, or is left out. */
export type ServiceFiles = Map<string, { environment: Map<string, string>; labels: Map<string, string> }>

export async function readServiceFiles(
  model: MapNode,
  session: ReadSession,
  environment: Environment,
): Promise<ServiceFiles> {
  const result: ServiceFiles = new Map()
  const services = member(model, 'services')
  for (const [name, { value }] of services?.kind === 'map' ? services.entries : []) {
    result.set(name, {
      environment: await readAll(member(value, 'env_file'), `services.${name}.env_file`, session, environment),
      labels: await readLabelFiles(member(value, 'label_file'), `services.${name}.label_file`, session, environment),
    })
  }
  return result
}

async function readLabelFiles(
  field: Node | undefined,
  path: string,
  session: ReadSession,
  environment: Environment,
): Promise<Map<string, string>> {
  const labels = await readAll(field, path, session, environment)
  const reserved = [...labels.keys()].find((label) => label.startsWith(RESERVED_LABEL_PREFIX))
  if (field && reserved !== undefined) {
    const message = `sets ${reserved}: labels that begin with ${RESERVED_LABEL_PREFIX} are Berth's own; choose another name`
    session.findings.error(field.place, path, message)
  }
  return labels
}

async function readAll(
  field: Node | undefined,
  path: string,
  session: ReadSession,
  environment: Environment,
): Promise<Map<string, string>> {
  const values = new Map<string, string>()
  if (!field || isNull(field)) return values
  const items = asList(field).items
  for (const [index, item] of items.entries()) {
    const itemPath = field.kind === 'list' ? `${path}[${index}]` : path
    const wanted = readItem(item, itemPath, session)
    if (!wanted) continue
    if (!wanted.required && !(await session.exists(wanted.file))) continue
    const text = await session.text(wanted.file, { place: item.place, path: itemPath })
    if (text === undefined) continue
    const parsed = wanted.raw
      ? parseRawEnvFile(text)
      : parseEnvFile(text, (name) => (Object.hasOwn(environment, name) ? environment[name] : values.get(name)))
    tellProblems(session, wanted.file, parsed)
    for (const [key, value] of parsed.values) {
      if (key === FORBIDDEN_KEY) {
        session.findings.error(item.place, itemPath, `${session.show(wanted.file)}: ${FORBIDDEN_NAME}`)
        continue
      }
      const known = value ?? (Object.hasOwn(environment, key) ? environment[key] : undefined)
      if (known !== undefined) values.set(key, known)
    }
  }
  return values
}

function readItem(
  item: Node,
  path: string,
  session: ReadSession,
): { file: string; required: boolean; raw: boolean } | undefined {
  const file = stringOf(item) ?? stringOf(member(item, 'path'))
  if (file === undefined) {
    session.findings.error(item.place, path, 'is the path of a file, or a mapping with "path"')
    return undefined
  }
  const known = ['path', 'required', 'format']
  for (const [key, entry] of item.kind === 'map' ? item.entries : []) {
    if (!known.includes(key))
      session.findings.error(entry.keyPlace, `${path}.${key}`, `is unknown; here are ${known.join(', ')}`)
  }
  const format = textOf(member(item, 'format'))
  if (format !== undefined && format !== 'raw') {
    session.findings.error(
      member(item, 'format')!.place,
      `${path}.format`,
      `"${format}" is not a format; there is raw, or none`,
    )
  }
  return { file, required: textOf(member(item, 'required')) !== 'false', raw: format === 'raw' }
}
