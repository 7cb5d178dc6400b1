/** `include`: another Compose application, read on its own terms, whose resources join this one's. */
import path from 'node:path'
import { readEnvironmentFiles } from './env-files.ts'
import { asList } from './merge-rules.ts'
import { directoryOf, loadModel, type ModelRequest } from './model.ts'
import { didYouMean } from './suggest.ts'
import { type MapNode, member, type Node, stringOf, withMember } from './tree.ts'

const MAX_INCLUDE_DEPTH = 20
const RESOURCES = ['services', 'volumes', 'networks', 'secrets', 'configs', 'models']
const FIELDS = ['path', 'project_directory', 'env_file']

export async function includeModels(tree: MapNode, file: string, request: ModelRequest): Promise<MapNode> {
  const include = member(tree, 'include')
  if (!include) return tree
  const { findings } = request.session
  if (include.kind !== 'list') {
    findings.error(include.place, 'include', 'is a list of files; write "include:" and under it "- FILE"')
    return tree
  }
  let result = tree
  for (const [index, item] of include.items.entries()) {
    const fieldPath = `include[${index}]`
    const model = await includedModel(item, fieldPath, file, request)
    if (model) result = addResources(result, model, fieldPath, request)
  }
  return result
}

async function includedModel(
  item: Node,
  fieldPath: string,
  file: string,
  request: ModelRequest,
): Promise<MapNode | undefined> {
  const { session, environment, directory } = request
  const { findings } = session
  for (const [key, entry] of item.kind === 'map' ? item.entries : []) {
    if (!FIELDS.includes(key))
      findings.error(entry.keyPlace, `${fieldPath}.${key}`, `is not a field of include${didYouMean(key, FIELDS)}`)
  }
  const written = texts(item.kind === 'map' ? member(item, 'path') : item)
  if (written.length === 0) {
    findings.error(item.place, fieldPath, 'names no file; write "path: FILE"')
    return undefined
  }
  const files = written.map((each) => path.resolve(directory, each))
  const chain = [...request.includedBy, file]
  const again = files.find((each) => chain.includes(each))
  if (again !== undefined || chain.length > MAX_INCLUDE_DEPTH) {
    const steps = [...chain, again ?? files[0]!].map((each) => session.show(each)).join(' → ')
    findings.error(
      item.place,
      fieldPath,
      again ? `includes itself: ${steps}` : `is included more than ${MAX_INCLUDE_DEPTH} deep`,
    )
    return undefined
  }
  if (!session.mayLoadModel()) {
    findings.error(item.place, fieldPath, 'is one include too many; the stack has hundreds already')
    return undefined
  }
  const projectDirectory = stringOf(member(item, 'project_directory'))
  const base =
    projectDirectory === undefined ? directoryOf(files[0]!, session) : path.resolve(directory, projectDirectory)
  const envFiles = texts(member(item, 'env_file')).map((each) => path.resolve(directory, each))
  const own = await readEnvironmentFiles(session, base, envFiles, environment)
  return loadModel({
    session,
    files,
    directory: base,
    environment: { ...own, ...environment },
    includedBy: chain,
    blame: { place: item.place, path: fieldPath },
  })
}

/** What both define must be the same; overriding an included resource is for a later `-f` file. */
function addResources(tree: MapNode, included: MapNode, fieldPath: string, request: ModelRequest): MapNode {
  let result = tree
  for (const kind of RESOURCES) {
    const theirs = member(included, kind)
    if (theirs?.kind !== 'map') continue
    const ours = member(result, kind)
    const entries = new Map(ours?.kind === 'map' ? ours.entries : [])
    for (const [name, entry] of theirs.entries) {
      const mine = entries.get(name)
      if (mine && !sameMeaning(mine.value, entry.value)) {
        const where = `${entry.keyPlace.file}:${entry.keyPlace.line}`
        const message = `is also defined by ${fieldPath} at ${where}; change an included definition in a further -f file instead`
        request.session.findings.error(mine.keyPlace, `${kind}.${name}`, message)
      } else if (!mine) entries.set(name, entry)
    }
    result = withMember(result, kind, { kind: 'map', entries, place: ours?.place ?? theirs.place })
  }
  return result
}

function sameMeaning(a: Node, b: Node): boolean {
  if (a.kind === 'scalar' && b.kind === 'scalar') return a.value === b.value
  if (a.kind === 'list' && b.kind === 'list') {
    return a.items.length === b.items.length && a.items.every((item, index) => sameMeaning(item, b.items[index]!))
  }
  if (a.kind === 'map' && b.kind === 'map') {
    if (a.entries.size !== b.entries.size) return false
    return [...a.entries].every(([key, entry]) => {
      const other = b.entries.get(key)
      return other !== undefined && sameMeaning(entry.value, other.value)
    })
  }
  return false
}

function texts(node: Node | undefined): string[] {
  if (!node) return []
  return asList(node)
    .items.map(stringOf)
    .filter((text) => text !== undefined)
}
