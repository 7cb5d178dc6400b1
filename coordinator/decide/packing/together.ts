/**
 * Tasks of one priority that wait together and whose policy is `binpack` are packed together, so that they begin few nodes.
 * The plan says only where each would rather go: the engine holds it to every check, in the order of the requests. It is
 * made only when all that fit anywhere fit together: where room is short, who comes first matters more than few nodes, and
 * the tasks go one by one as always.
 *
 * Nothing is remembered from beat to beat: those that wait because no node has room for them are left out, and so are nodes
 * that have no room for any, so that many that wait cost a comparison each until there is room again.
 */
import type { PolicyName } from '../../../shared/spec.ts'
import type { NodeName, TaskId } from '../../world.ts'
import { fixedRefusalOf, nothingElseConcerns } from '../checks/all.ts'
import { FixedKeys } from '../checks/fixed-keys.ts'
import { isReserved } from '../demand.ts'
import type { NodePicture, Picture } from '../picture.ts'
import { boundTo } from '../placement/engine.ts'
import { hasWishes, reluctance } from '../reluctance.ts'
import type { PlaceRequest } from '../requests.ts'
import { greedyLooks, type Packed, pack } from './pack.ts'
import { type Looks, type Problem, ROUNDING } from './problem.ts'

/** Where each task goes, and how many tasks on how many nodes that are empty so far. */
export type Plan = { nodes: Map<TaskId, NodeName>; newly: number; looks: number }

/** Null: they go one by one. `policy`: for services that name none. `looks`: told what it costs. */
export function planTogether(
  requests: readonly PlaceRequest[],
  picture: Picture,
  policy: PolicyName,
  looks: Looks = greedyLooks(),
): Plan | null {
  const [first] = requests
  if (!first || !differInSize(requests)) return null
  if (requests.some(({ version }) => (version.spec.placement.policy ?? policy) !== 'binpack')) return null
  const keys = new FixedKeys()
  const key = keys.of(first.version)
  const cluster = picture.values().next().value?.cluster
  if (!cluster) return null
  const isPlain = oncePerVersion(
    (request) =>
      isReserved(request.version) &&
      keys.of(request.version) === key &&
      request.version.spec.placement.spreadOver.length === 0 &&
      !hasWishes(request) &&
      nothingElseConcerns(request, cluster.neighbours),
  )
  if (!requests.every((request) => boundTo(request) === null && isPlain(request))) return null
  const all = nodesFor(first, picture)
  if (all === null) return null
  const isRoom = oncePerVersion((request) => hasRoom(all, sizeOf(request), looks))
  const fitting = requests.filter(isRoom)
  if (fitting.length === 0) return null
  const smallest = smallestOf(fitting)
  const nodes = all.filter((node) => hasRoom([node], smallest, looks))
  // Neither the order of the requests nor their age says anything about where they go.
  fitting.sort((a, b) => (a.task < b.task ? -1 : 1))
  const packed = pack(problemOf(fitting, nodes), looks)
  return packed && planOf(packed, fitting, nodes)
}

function planOf({ nodes: places, newly, looks }: Packed, requests: PlaceRequest[], nodes: FreeNode[]): Plan {
  return { nodes: new Map(requests.map(({ task }, at) => [task, nodes[places[at]!]!.name])), newly, looks }
}

/** Tasks of one size fill equal nodes as well as can be however they go. */
function differInSize(requests: readonly PlaceRequest[]): boolean {
  const first = sizeOf(requests[0]!)
  return requests.some((request) => {
    const size = sizeOf(request)
    return size.cpuCores !== first.cpuCores || size.memoryBytes !== first.memoryBytes
  })
}

function sizeOf({ version }: PlaceRequest): { cpuCores: number; memoryBytes: number } {
  return version.spec.task.container.resources.reservation
}

/** Of each resource by itself: what has no room for this has none for any of them. */
function smallestOf(requests: readonly PlaceRequest[]): { cpuCores: number; memoryBytes: number } {
  const smallest = { ...sizeOf(requests[0]!) }
  for (const request of requests) {
    const { cpuCores, memoryBytes } = sizeOf(request)
    smallest.cpuCores = Math.min(smallest.cpuCores, cpuCores)
    smallest.memoryBytes = Math.min(smallest.memoryBytes, memoryBytes)
  }
  return smallest
}

function oncePerVersion(ask: (request: PlaceRequest) => boolean): (request: PlaceRequest) => boolean {
  const answers = new Map<PlaceRequest['version'], boolean>()
  return (request) => {
    const answer = answers.get(request.version) ?? ask(request)
    answers.set(request.version, answer)
    return answer
  }
}

// ---------------------------------------------------------------- nodes

type FreeNode = { name: NodeName; seen: NodePicture; cpuCores: number; memoryBytes: number; isEmpty: boolean }

/**
 * Those that the fixed checks let through: first those that run something, by name, then the empty ones, the largest first.
 * Null: something speaks against some of them.
 */
function nodesFor(request: PlaceRequest, picture: Picture): FreeNode[] | null {
  const nodes: FreeNode[] = []
  for (const seen of picture.values()) {
    if (fixedRefusalOf(request, seen) !== null) continue
    if (reluctance(request, seen) > 0) return null
    nodes.push(freeOn(seen))
  }
  const size = ({ isEmpty, cpuCores, memoryBytes }: FreeNode) =>
    isEmpty ? cpuCores / most.cpu + memoryBytes / most.memory : 0
  const most = mostOf(nodes)
  return nodes.sort((a, b) => Number(a.isEmpty) - Number(b.isEmpty) || size(b) - size(a) || (a.name < b.name ? -1 : 1))
}

/** On any of the nodes. */
function hasRoom(
  nodes: readonly FreeNode[],
  { cpuCores, memoryBytes }: { cpuCores: number; memoryBytes: number },
  looks: Looks,
): boolean {
  for (const node of nodes) {
    looks.count += 1
    if (cpuCores <= node.cpuCores + ROUNDING && memoryBytes <= node.memoryBytes) return true
  }
  return false
}

/** What is promised to nobody, and what nobody is assumed to need. */
function freeOn(seen: NodePicture): FreeNode {
  const { node, room, cpuCoresPromised, memoryBytesPromised, need, taskCount } = seen
  return {
    seen,
    name: node.name,
    cpuCores: room.cpuCores - Math.max(cpuCoresPromised, need.cpuCores),
    memoryBytes: room.memoryBytes - Math.max(memoryBytesPromised, need.memoryBytes),
    isEmpty: taskCount === 0,
  }
}

function mostOf(nodes: readonly FreeNode[]): { cpu: number; memory: number } {
  return {
    cpu: nodes.reduce((most, { cpuCores }) => Math.max(most, cpuCores), Number.MIN_VALUE),
    memory: nodes.reduce((most, { memoryBytes }) => Math.max(most, memoryBytes), 1),
  }
}

function problemOf(requests: readonly PlaceRequest[], nodes: readonly FreeNode[]): Problem {
  const most = mostOf(nodes)
  return {
    cpu: Float64Array.from(requests, (request) => sizeOf(request).cpuCores / most.cpu),
    memory: Float64Array.from(requests, (request) => sizeOf(request).memoryBytes / most.memory),
    cpuFree: Float64Array.from(nodes, ({ cpuCores }) => cpuCores / most.cpu),
    memoryFree: Float64Array.from(nodes, ({ memoryBytes }) => memoryBytes / most.memory),
    begun: nodes.filter(({ isEmpty }) => !isEmpty).length,
  }
}
