/**
 * The smallest change that would let a waiting task run. Each node is asked why it refuses; what that check wants is relaxed just
 * so far, on a copy, and the checks are asked again, until they say yes or want what cannot be had. So each answer has been tried.
 * Of all nodes' ways the shortest count, and of those of one kind the least.
 */
import type { Constraint, ConstraintOperator, Port } from '../../shared/spec.ts'
import type { NodeName, NodeStatus, Refusal, ServiceVersion } from '../world.ts'
import { refusalOf } from './checks/all.ts'
import { unmetConstraint } from './checks/constraint.ts'
import { clash } from './checks/host-port.ts'
import type { NodePicture } from './picture.ts'
import type { PlaceRequest } from './requests.ts'
import { untolerated } from './taints.ts'

export type Relaxation =
  | { kind: 'reserve-less'; resource: 'cpu' | 'memory' | 'disk'; needed: number; to: number }
  | { kind: 'reserve-less-generic'; resource: string; needed: number; to: number }
  | { kind: 'label-node'; label: string; value: string }
  | { kind: 'unlabel-node'; label: string }
  | { kind: 'drop-constraint'; constraint: Constraint }
  | { kind: 'allow-per-node'; max: number }
  | { kind: 'free-port'; port: number; protocol: string; heldBy: string }
  | { kind: 'activate-node' }
  | { kind: 'bring-back-node'; status: NodeStatus['name'] }
  | { kind: 'drop-platform'; platform: string }
  | { kind: 'tolerate-taint'; key: string; value: string }
  | { kind: 'drop-affinity'; service: string }

/** What is to be changed, all of it, so that the task fits on `node`. */
export type SmallestChange = { node: NodeName; relaxations: Relaxation[] }

const CHANGES_MAX = 3
/** More than so many at once is no small change. */
const RELAXATIONS_MAX = 3

/** The best few, each of another kind, the smallest first; empty when no change of these kinds would do. */
export function smallestChanges(request: PlaceRequest, nodes: Iterable<NodePicture>): SmallestChange[] {
  const byKind = new Map<string, SmallestChange>()
  let fewest = RELAXATIONS_MAX
  for (const seen of nodes) {
    if (request.onlyNode !== null && request.onlyNode !== seen.node.name) continue
    const relaxations = relaxationsFor(request, seen, fewest)
    if (relaxations === null || relaxations.length === 0) continue
    fewest = Math.min(fewest, relaxations.length)
    const key = kindOf(relaxations)
    const known = byKind.get(key)
    const change = { node: seen.node.name, relaxations }
    if (!known || compareChanges(change, known) < 0) byKind.set(key, change)
  }
  return [...byKind.values()]
    .filter(({ relaxations }) => relaxations.length === fewest)
    .sort(compareChanges)
    .slice(0, CHANGES_MAX)
}

/** What it takes for the node to say yes; null: more than `max`, or what cannot be had by a change. */
function relaxationsFor(request: PlaceRequest, seen: NodePicture, max: number): Relaxation[] | null {
  const relaxations: Relaxation[] = []
  let tried: Tried = { request, seen }
  for (;;) {
    const refusal = refusalOf(tried.request, tried.seen)
    if (!refusal) return relaxations
    const relaxed = relaxations.length < max ? relax(tried, refusal) : null
    if (!relaxed) return null
    relaxations.push(relaxed.relaxation)
    tried = relaxed.tried
  }
}

function kindOf(relaxations: readonly Relaxation[]): string {
  return relaxations.map((each) => `${each.kind} ${'resource' in each ? each.resource : ''}`).join(', ')
}

function compareChanges(a: SmallestChange, b: SmallestChange): number {
  return costOf(a) - costOf(b) || (a.node < b.node ? -1 : a.node > b.node ? 1 : 0)
}

function costOf({ relaxations }: SmallestChange): number {
  return relaxations.reduce((sum, relaxation) => sum + 10 + cost(relaxation), 0)
}

/** In the order in which people would rather do them; of a reservation, how much of it would have to go. */
function cost(relaxation: Relaxation): number {
  switch (relaxation.kind) {
    case 'activate-node':
      return 0
    case 'label-node':
    case 'unlabel-node':
      return 0.1
    case 'reserve-less':
    case 'reserve-less-generic':
      return 0.2 + (1 - relaxation.to / relaxation.needed)
    case 'allow-per-node':
      return 0.5
    case 'tolerate-taint':
      return 0.6
    case 'free-port':
      return 1
    case 'bring-back-node':
      return 1.1
    case 'drop-constraint':
    case 'drop-affinity':
    case 'drop-platform':
      return 1.3
  }
}

// ---------------------------------------------------------------- one check relaxed

type Tried = { request: PlaceRequest; seen: NodePicture }
type Relaxed = { relaxation: Relaxation; tried: Tried }

function relax(tried: Tried, refusal: Refusal): Relaxed | null {
  switch (refusal.check) {
    case 'cpu':
      return reserveLess(tried, 'cpu', refusal.figures.neededCores, refusal.figures.freeCores)
    case 'memory':
      return reserveLess(tried, 'memory', refusal.figures.neededBytes, refusal.figures.freeBytes)
    case 'disk':
      return reserveLess(tried, 'disk', refusal.figures.neededBytes, refusal.figures.freeBytes)
    case 'generic':
      return reserveLessGeneric(tried, refusal)
    case 'constraint':
      return relaxConstraint(tried)
    case 'taint':
      return tolerateTaint(tried)
    case 'affinity':
      return dropAffinity(tried, refusal)
    case 'max-per-node': {
      const max = Number(refusal.figures.has) + 1
      return { relaxation: { kind: 'allow-per-node', max }, tried: withPlacement(tried, { maxPerNode: max }) }
    }
    case 'host-port':
      return freePort(tried, refusal)
    case 'availability':
      return { relaxation: { kind: 'activate-node' }, tried: withNode(tried, { availability: 'active' }) }
    case 'liveness':
    case 'engine':
      return bringBack(tried)
    case 'platform': {
      const { platform } = tried.request.version.spec.task.container
      // Of an image that turned out not to be made for the node another is needed, whatever the spec says.
      const made = { ...tried, request: { ...tried.request, version: withoutRefusals(tried.request.version) } }
      return {
        relaxation: { kind: 'drop-platform', platform: platform ?? 'this one' },
        tried: withContainer(made, { platform: undefined }),
      }
    }
    // It fails there, the data is elsewhere, or there is no node at all: nothing about this node would help.
    default:
      return null
  }
}

/** Less than this share of what was asked for is no reservation any more. */
const SHARE_MIN = 0.05

function reserveLess(
  tried: Tried,
  resource: 'cpu' | 'memory' | 'disk',
  needed: unknown,
  free: unknown,
): Relaxed | null {
  if (typeof needed !== 'number' || typeof free !== 'number' || free < SHARE_MIN * needed) return null
  const { resources } = tried.request.version.spec.task.container
  const member = { cpu: 'cpuCores', memory: 'memoryBytes', disk: 'diskBytes' }[resource]
  const reservation = { ...resources.reservation, [member]: free }
  return {
    relaxation: { kind: 'reserve-less', resource, needed, to: free },
    tried: withContainer(tried, { resources: { ...resources, reservation } }),
  }
}

function reserveLessGeneric(tried: Tried, { figures }: Refusal): Relaxed | null {
  const { resource, needed, free } = figures
  const { resources } = tried.request.version.spec.task.container
  const { generic = {} } = resources.reservation
  if (typeof resource !== 'string' || typeof needed !== 'number' || typeof free !== 'number') return null
  if (free < 1 || !Object.hasOwn(generic, resource)) return null
  const reservation = { ...resources.reservation, generic: { ...generic, [resource]: free } }
  return {
    relaxation: { kind: 'reserve-less-generic', resource, needed, to: free },
    tried: withContainer(tried, { resources: { ...resources, reservation } }),
  }
}

function tolerateTaint(tried: Tried): Relaxed | null {
  const { placement } = tried.request.version.spec
  const taint = untolerated(tried.seen.node.taints, placement, ['no-schedule', 'no-execute'])
  if (!taint) return null
  const { key, value } = taint
  const tolerations = [...(placement.tolerations ?? []), { key, operator: '==' as const, value }]
  return { relaxation: { kind: 'tolerate-taint', key, value }, tried: withPlacement(tried, { tolerations }) }
}

/** Its own wishes; those of others, which keep it away, are not its to give up. */
function dropAffinity(tried: Tried, { figures }: Refusal): Relaxed | null {
  const { affinity = [] } = tried.request.version.spec.placement
  const left = affinity.filter(({ required }) => !required)
  if (left.length === affinity.length) return null
  return {
    relaxation: { kind: 'drop-affinity', service: String(figures.service) },
    tried: withPlacement(tried, { affinity: left }),
  }
}

const NODE_LABEL = 'node.labels.'

/** A label of the node where that can do it, else without the constraint. */
function relaxConstraint(tried: Tried): Relaxed | null {
  const { constraints } = tried.request.version.spec.placement
  const { node } = tried.seen
  const unmet = unmetConstraint(node, constraints)
  if (!unmet) return null
  const label = unmet.attribute.startsWith(NODE_LABEL) ? unmet.attribute.slice(NODE_LABEL.length) : null
  const value = valueMeeting(unmet)
  if (label !== null && value !== null) {
    const operatorLabels = { ...node.operatorLabels, [label]: value }
    return { relaxation: { kind: 'label-node', label, value }, tried: withNode(tried, { operatorLabels }) }
  }
  if (label !== null && FORBIDDING.has(unmet.operator) && Object.hasOwn(node.operatorLabels, label)) {
    const { [label]: _removed, ...operatorLabels } = node.operatorLabels
    return { relaxation: { kind: 'unlabel-node', label }, tried: withNode(tried, { operatorLabels }) }
  }
  return {
    relaxation: { kind: 'drop-constraint', constraint: unmet },
    tried: withPlacement(tried, { constraints: constraints.filter((each) => each !== unmet) }),
  }
}

const FORBIDDING: ReadonlySet<ConstraintOperator> = new Set(['!=', 'not-in', 'not-exists'])

/** A value with which a label would meet it; null: it is met by having none. */
function valueMeeting({ operator, value, values = [] }: Constraint): string | null {
  switch (operator) {
    case '==':
    case '>=':
    case '<=':
      return value
    case '>':
      return String(Number(value) + 1)
    case '<':
      return String(Number(value) - 1)
    case 'in':
      return values[0] ?? null
    case 'exists':
      return 'true'
    default:
      return null
  }
}

function freePort(tried: Tried, { figures }: Refusal): Relaxed | null {
  const { portsHeld } = tried.seen
  const holder = portsHeld.find((held) => held.task === figures.heldBy && held.port.hostPort === figures.port)
  if (!holder) return null
  const wanted = tried.request.version.spec.task.container.ports
  const inTheWay = (port: Port) => wanted.some((each) => each.hostPort !== undefined && clash(each, port))
  const left = portsHeld.filter((held) => held.task !== holder.task || !inTheWay(held.port))
  const { hostPort = 0, protocol } = holder.port
  return {
    relaxation: { kind: 'free-port', port: hostPort, protocol, heldBy: holder.task },
    tried: { ...tried, seen: { ...tried.seen, portsHeld: left } },
  }
}

/** As it would be when its agent and Engine are back, with what it is known to have. */
function bringBack(tried: Tried): Relaxed | null {
  const { node } = tried.seen
  if (node.inventory === null) return null
  const connection = node.connection ?? { instance: '', openedAt: 0, address: '', wireVersion: 0 }
  const back = withNode(tried, {
    status: { name: 'ready', since: node.status.since },
    connection,
    engine: { ...node.engine, state: 'up' },
  })
  return { relaxation: { kind: 'bring-back-node', status: node.status.name }, tried: back }
}

// ---------------------------------------------------------------- copies

function withoutRefusals({ refusedPlatforms: _, ...version }: ServiceVersion): ServiceVersion {
  return version
}

function withNode(tried: Tried, change: Partial<NodePicture['node']>): Tried {
  return { ...tried, seen: { ...tried.seen, node: { ...tried.seen.node, ...change } } }
}

function withPlacement(tried: Tried, change: Partial<ServiceVersion['spec']['placement']>): Tried {
  const { spec } = tried.request.version
  return withSpec(tried, { ...spec, placement: { ...spec.placement, ...change } })
}

function withContainer(tried: Tried, change: Record<string, unknown>): Tried {
  const { spec } = tried.request.version
  const container = { ...spec.task.container, ...change }
  return withSpec(tried, { ...spec, task: { ...spec.task, container } })
}

function withSpec(tried: Tried, spec: ServiceVersion['spec']): Tried {
  return { ...tried, request: { ...tried.request, version: { ...tried.request.version, spec } } }
}
