/**
 * Which moves would make the cluster better, by the very policies that place: a task is worth moving when its policy, asked
 * anew as if it were not there, clearly prefers another node that can take it. The best move is taken, then the next one is
 * looked for in the picture that it leaves, so that moves add up instead of chasing one another (greedy descent: each step
 * lowers a score, so it ends).
 */
import type { Instant } from '../../../shared/clock.ts'
import type { PolicyName } from '../../../shared/spec.ts'
import type { NodeName, Service, ServiceName, ServiceVersion, Task, TaskId, World } from '../../world.ts'
import { refusalOf } from '../checks/all.ts'
import { attributeOf } from '../checks/constraint.ts'
import { hold, type NodePicture, pictureOf, without } from '../picture.ts'
import { Nodes } from '../placement/nodes.ts'
import { POLICIES } from '../policies/all.ts'
import type { Need, Policy } from '../policies/policy.ts'
import { reluctance } from '../reluctance.ts'
import type { PlaceRequest } from '../requests.ts'
import { wantedVersionOf } from '../service-facts.ts'
import { whyNotMovable } from './movable.ts'

export type Move = {
  task: TaskId
  service: ServiceName
  slot: number
  from: NodeName
  to: NodeName
  policy: PolicyName
  /** By how much the policy's score is lower there; for `spread` 1024 stands for one task of the service. */
  gain: number
  /** The policy's figures for the task on either node, without it and with it. */
  figures: { from: Record<string, number>; to: Record<string, number> }
  /** Tasks of its service with the same values of the labels it is spread over, on either side; absent: not spread over labels. */
  groups?: { from: number; to: number }
  /** What is lost: a container that has run for so long ends. */
  cost: { upMs: number }
}

export type RebalancePlan = {
  moves: Move[]
  /** The fullest node by what its tasks are assumed to need, and by what is measured: shares of its room, 0 to 1. */
  before: Extremes
  after: Extremes
  /** True: there was more to look at than the bound of work allows; another plan after these moves may find more. */
  isCut: boolean
}

export type Extremes = { fullest: Share; emptiest: Share; busiest: Share }
type Share = { node: NodeName | null; share: number }

export type PlanOptions = {
  now: Instant
  movesMax: number
  /** Tasks that were placed after this instant are left where they are, as are these. */
  placedBefore: Instant
  resting?: ReadonlySet<TaskId>
}

/** A move must gain a tenth of a node, or a task of the service: less would be moving for its own sake. */
export const GAIN_MIN = 0.1
/** A tenth of a node between two of them, for a task that needs a tenth of one. */
const WORTH_MIN = 0.01
/** More than any difference of shares or of their squares. */
const WHOLE = 2
/** Of two values of a label, one task more outweighs whatever the policy says. */
const ONE_TASK_IN_GROUP = 2 ** 21
/** Nodes looked at for all moves of a plan together: some 50 ms, for which agents wait. */
export const VISITS_MAX = 2_000_000

export function planRebalance(world: World, options: PlanOptions): RebalancePlan {
  const nodes = new Nodes(pictureOf(world))
  const moves: Move[] = []
  const before = extremes(nodes)
  const places = placesOf(world, options)
  const lookedAtMax = Math.max(1, Math.floor(VISITS_MAX / Math.max(1, options.movesMax) / Math.max(1, nodes.count)))
  const isCut = places.length > lookedAtMax
  places.length = Math.min(places.length, lookedAtMax)
  while (moves.length < options.movesMax) {
    const best = bestMove(world, nodes, places, options.now)
    if (best === null) break
    carryOut(best, nodes)
    moves.push(best.move)
  }
  return { moves, before, after: extremes(nodes), isCut }
}

// ---------------------------------------------------------------- what could move

/** Tasks of one version on one node: alike for any policy, so one of them stands for all. */
type Place = {
  service: Service
  version: ServiceVersion
  node: NodeName
  tasks: Task[]
  /** Nodes whose figures its policy should not go by yet. */
  unsettled: ReadonlySet<NodeName>
}

/** Where a service has most tasks first, so that a bound on work leaves out what gains least. */
function placesOf(world: World, { now, placedBefore, resting }: PlanOptions): Place[] {
  const places: Place[] = []
  const movedOfLate = nodesMovedOfLate(world, now)
  for (const service of world.services.values()) {
    const version = wantedVersionOf(service)
    const unsettled = policyOf(world, version).name === 'least-loaded' ? movedOfLate : NONE
    const byNode = new Map<NodeName, Task[]>()
    for (const task of world.tasksByService.get(service.name) ?? []) {
      if (task.node === null || task.placedAt > placedBefore || whyNotMovable(world, task) !== null) continue
      if (unsettled.has(task.node) || resting?.has(task.id)) continue
      const there = byNode.get(task.node)
      if (there) there.push(task)
      else byNode.set(task.node, [task])
    }
    for (const [node, tasks] of byNode)
      places.push({ service, version, node, tasks: tasks.sort(cheaperFirst), unsettled })
  }
  return places.sort(
    (a, b) =>
      b.tasks.length - a.tasks.length || compareTexts(a.service.name, b.service.name) || compareTexts(a.node, b.node),
  )
}

const NONE: ReadonlySet<NodeName> = new Set()

/**
 * Nodes that tasks were moved from or to of late. Where measured load is what a policy goes by they are left alone: the recent
 * peak shows what has left until it is forgotten, and what has come only once that was busy.
 */
function nodesMovedOfLate({ rebalances }: World, now: Instant): Set<NodeName> {
  const moves = rebalances.flatMap((each) => each.moves)
  const ofLate = moves.filter(({ startedAt }) => (startedAt ?? 0) > now - PEAK_FORGOTTEN_MS)
  return new Set(ofLate.flatMap(({ from, to }) => [from, to]))
}

/** Nine minutes (`load-history.ts`), and the time that a move takes. */
const PEAK_FORGOTTEN_MS = 600_000

/** The younger has less to lose. */
function cheaperFirst(a: Task, b: Task): number {
  return (b.firstUpAt ?? 0) - (a.firstUpAt ?? 0) || compareTexts(a.id, b.id)
}

function policyOf({ settings }: World, { spec }: ServiceVersion): Policy {
  return POLICIES[spec.placement.policy ?? settings.policy]
}

// ---------------------------------------------------------------- the best move

type Found = { move: Move; worth: number; place: Place; task: Task; from: number; to: number }

function bestMove(world: World, nodes: Nodes, places: readonly Place[], now: Instant): Found | null {
  let best: Found | null = null
  for (const place of places) {
    const found = moveFrom(world, nodes, place, now)
    if (found && found.worth >= WORTH_MIN && (best === null || found.worth > best.worth)) best = found
  }
  return best
}

/** Null: where they are is as good as anywhere. */
function moveFrom(world: World, nodes: Nodes, place: Place, now: Instant): Found | null {
  const [task] = place.tasks
  const from = nodes.indexOf(place.node)
  if (!task || from < 0) return null
  const { service, version } = place
  const policy = policyOf(world, version)
  const need = nodes.seen[from]!.cluster.needOf(service.name, version)
  const whole = nodes.seen[from]!
  nodes.askFor(service.name)
  nodes.replace(from, without(whole, task.id, service.name, version))
  const request: PlaceRequest = { task: task.id, service, version, slot: task.slot, onlyNode: null, waitsFor: [] }
  const target = bestTarget(nodes, request, policy, from, place.unsettled)
  const found: Found | null = target && {
    move: {
      task: task.id,
      service: service.name,
      slot: task.slot,
      from: place.node,
      to: nodes.seen[target.index]!.node.name,
      policy: policy.name,
      gain: target.gain,
      figures: {
        from: rounded(policy.parts(nodes.figures, from, need)),
        to: rounded(policy.parts(nodes.figures, target.index, need)),
      },
      ...(target.groups && { groups: target.groups }),
      cost: { upMs: Math.max(0, now - (task.firstUpAt ?? now)) },
    },
    worth: worthOf(target.gain, sizeOf(need, whole)),
    place,
    task,
    from,
    to: target.index,
  }
  nodes.replace(from, whole)
  return found
}

/**
 * What the move is worth to the cluster, besides to the task: of two nodes the sum of squares of their shares falls by the
 * difference that is left between them times twice the task's size. So the large tasks of a busy node go first, and small ones are not moved
 * for little. Whole tasks of a service, and empty or overfilled nodes, count as they are.
 */
function worthOf(gain: number, size: number): number {
  return gain >= WHOLE ? gain : gain * size
}

/** What the task is assumed to need, as a share of the host. */
function sizeOf({ cpuCores, memoryBytes }: Need, { node: { inventory } }: NodePicture): number {
  if (!inventory) return 0
  return Math.min(1, Math.max(cpuCores / inventory.cpuCores, memoryBytes / inventory.memoryBytes))
}

/** The node that gains most over staying, of those that can take the task; null: none gains enough. */
function bestTarget(
  nodes: Nodes,
  request: PlaceRequest,
  policy: Policy,
  from: number,
  unsettled: ReadonlySet<NodeName>,
): { index: number; gain: number; groups?: Move['groups'] } | null {
  const need = nodes.seen[from]!.cluster.needOf(request.service.name, request.version)
  const all = Int32Array.from({ length: nodes.count }, (_, index) => index)
  const scores = new Float64Array(nodes.count)
  if (policy.worth) policy.worth(nodes.figures, all, 0, nodes.count, need, scores)
  else policy.scores(nodes.figures, all, 0, nodes.count, need, scores)
  const groups = groupsOf(nodes.seen, request)
  let best: { index: number; gain: number; groups?: Move['groups'] } | null = null
  for (let index = 0; index < nodes.count; index++) {
    if (index === from || unsettled.has(nodes.seen[index]!.node.name)) continue
    const inGroups = groups?.compare(from, index)
    // Tasks are spread over labels first, whatever the policy.
    if (inGroups && inGroups.more < 0) continue
    const gain = scores[from]! - scores[index]! + (inGroups ? inGroups.more * ONE_TASK_IN_GROUP : 0)
    if (gain < GAIN_MIN || (best !== null && gain <= best.gain)) continue
    if (refusalOf(request, nodes.seen[index]!) !== null) continue
    // What speaks against a node comes before the policy as well.
    if (reluctance(request, nodes.seen[index]!) > reluctance(request, nodes.seen[from]!)) continue
    best = { index, gain, ...(inGroups && inGroups.more > 0 && { groups: { from: inGroups.from, to: inGroups.to } }) }
  }
  return best
}

/** Tasks of the service by the values of the labels that it is spread over, without the one that asks. */
function groupsOf(seen: readonly NodePicture[], { service, version }: PlaceRequest) {
  const { spreadOver } = version.spec.placement
  if (spreadOver.length === 0) return null
  const keys = seen.map(({ node }) => {
    const values = spreadOver.map((attribute) => attributeOf(node, attribute) ?? '')
    return spreadOver.map((_, level) => JSON.stringify(values.slice(0, level + 1)))
  })
  const counts = new Map<string, number>()
  for (const [index, levels] of keys.entries()) {
    const own = seen[index]!.tasksByService.get(service.name) ?? 0
    for (const key of levels) counts.set(key, (counts.get(key) ?? 0) + own)
  }
  return {
    /** By how many tasks the first level that differs would be more even; `more` below 0: less even. */
    compare(from: number, to: number): { from: number; to: number; more: number } {
      for (let level = 0; level < spreadOver.length; level++) {
        const [here, there] = [keys[from]![level]!, keys[to]![level]!]
        const [a, b] = [counts.get(here) ?? 0, counts.get(there) ?? 0]
        if (here !== there && a !== b) return { from: a, to: b, more: a - b }
      }
      return { from: 0, to: 0, more: 0 }
    },
  }
}

function carryOut({ place, task, from, to }: Found, nodes: Nodes): void {
  const { service, version } = place
  nodes.askFor(service.name)
  nodes.replace(from, without(nodes.seen[from]!, task.id, service.name, version))
  hold(nodes.seen[to]!, task.id, service.name, version)
  nodes.replace(to, nodes.seen[to]!)
  // Each task is moved once at most.
  place.tasks.shift()
}

// ---------------------------------------------------------------- figures

function extremes({ seen, figures }: Nodes): Extremes {
  const found: Extremes = {
    fullest: { node: null, share: 0 },
    emptiest: { node: null, share: 0 },
    busiest: { node: null, share: 0 },
  }
  for (const [index, { node }] of seen.entries()) {
    if (node.status.name !== 'ready' || node.availability !== 'active') continue
    const full = round(figures.low.scarcestShare[index]!)
    const busy = round(figures.low.busiestLoad[index]!)
    if (found.fullest.node === null || full > found.fullest.share) found.fullest = { node: node.name, share: full }
    if (found.emptiest.node === null || full < found.emptiest.share) found.emptiest = { node: node.name, share: full }
    if (found.busiest.node === null || busy > found.busiest.share) found.busiest = { node: node.name, share: busy }
  }
  return found
}

function rounded(parts: Record<string, number>): Record<string, number> {
  return Object.fromEntries(Object.entries(parts).map(([name, value]) => [name, round(value)]))
}

function round(value: number): number {
  return Math.round(value * 1000) / 1000
}

function compareTexts(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
