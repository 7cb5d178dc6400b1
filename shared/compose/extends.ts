/** `extends`: a service begins as another one, of this file or of another. */
import { interpolateTree } from './interpolate-tree.ts'
import { mergeMaps } from './merge.ts'
import { directoryOf, type ModelRequest, own } from './model.ts'
import { absolutePaths } from './paths.ts'
import { didYouMean } from './suggest.ts'
import { type MapNode, mapMembers, member, type Node, stringOf, withMember, withoutMember } from './tree.ts'

/** A chain of services, each extending the next, may be this long. */
const MAX_CHAIN = 50

/** Resolves `extends` in every service of `tree`. `earlier` is what the files before this one came to. */
export async function resolveExtends(
  tree: MapNode,
  file: string,
  earlier: MapNode,
  request: ModelRequest,
): Promise<MapNode> {
  const services = member(tree, 'services')
  if (services?.kind !== 'map') return tree
  const resolved = new Map<string, Node>()
  for (const [name, entry] of services.entries) {
    const context: Chain = { request, file, tree, earlier, seen: [] }
    resolved.set(name, await extend(name, entry.value, context))
  }
  return withMember(
    tree,
    'services',
    mapMembers(services, (value, name) => resolved.get(name) ?? value),
  )
}

type Chain = { request: ModelRequest; file: string; tree: MapNode; earlier?: MapNode; seen: string[] }

async function extend(name: string, service: Node, chain: Chain): Promise<Node> {
  const reference = member(service, 'extends')
  if (service.kind !== 'map' || !reference) return service
  const { findings } = chain.request.session
  const path = `services.${name}.extends`
  const own = withoutMember(service, 'extends')
  const id = `${chain.file}#${name}`
  if (chain.seen.includes(id) || chain.seen.length >= MAX_CHAIN) {
    findings.error(
      reference.place,
      path,
      `extends itself: ${[...chain.seen, id].map((step) => step.split('#')[1]).join(' → ')}`,
    )
    return own
  }
  const baseName = stringOf(reference) ?? stringOf(member(reference, 'service'))
  if (baseName === undefined) {
    findings.error(
      reference.place,
      path,
      'names no service; write "extends: {service: NAME}", with "file:" when it is in another file',
    )
    return own
  }
  const found = await findBase(baseName, reference, path, { ...chain, seen: [...chain.seen, id] })
  if (!found) return own
  const base = await extend(baseName, found.service, found.chain)
  if (base.kind !== 'map') return own
  return mergeUnder(name, base, own, chain)
}

async function findBase(
  baseName: string,
  reference: Node,
  path: string,
  chain: Chain,
): Promise<{ service: Node; chain: Chain } | undefined> {
  const { session } = chain.request
  const fileNode = member(reference, 'file')
  const file = stringOf(fileNode)
  const next = file === undefined || file === chain.file ? chain : await otherFile(file, fileNode!, path, chain)
  if (!next) return undefined
  const services = member(next.tree, 'services')
  const service = member(services, baseName) ?? member(member(next.earlier, 'services'), baseName)
  if (service) return { service, chain: next }
  const known = services?.kind === 'map' ? [...services.entries.keys()] : []
  session.findings.error(
    reference.place,
    path,
    `there is no service "${baseName}" in ${session.show(next.file)}${didYouMean(baseName, known)}`,
  )
  return undefined
}

async function otherFile(file: string, fileNode: Node, path: string, chain: Chain): Promise<Chain | undefined> {
  const { session, environment } = chain.request
  const documents = await session.documents(file, { place: fileNode.place, path: `${path}.file` })
  const document = documents?.[0]
  if (!document) return undefined
  const lookup = (name: string) => own(environment, name)
  const tree = session.once(environment, file, () =>
    absolutePaths(interpolateTree(document, lookup, session), directoryOf(file, session), environment.HOME),
  )
  return { request: chain.request, file, tree, seen: chain.seen }
}

/** Merges as a service, so that the rules for fields of services apply. */
function mergeUnder(name: string, base: MapNode, over: MapNode, chain: Chain): Node {
  const { findings } = chain.request.session
  return mergeMaps(base, over, { findings, keepTags: true }, `services.${name}`)
}
