/**
 * Finds a node for each task that asks for one. Requests of one version form a batch: what depends on the node and the
 * version alone is checked once per node, the fitting nodes stand in a heap by the policy's order, and each placement
 * takes the best and lets it sink to its new rank. So a batch costs nodes + tasks × log(nodes), and still each task gets
 * exactly the node that looking at all of them would have given.
 */
import { canonicalJson } from '../../shared/spec.ts'
import type { Decision, PlacementReason, Refusal } from '../world.ts'
import { fixedRefusalOf, movingRefusalOf, refusalOf } from './checks/all.ts'
import { attributeOf } from './checks/constraint.ts'
import { type Heap, heapOf, removeFirst, sinkFirst } from './heap.ts'
import { hold, type NodePicture, type Picture } from './picture.ts'
import type { PlaceRequest } from './requests.ts'
import type { Policy } from './score/policy.ts'
import { spread } from './score/spread.ts'
import { hasNamedVolume } from './service-facts.ts'

export type Schedule = {
  placements: Extract<Decision, { kind: 'place-task' }>[]
  /** Those that no node can take now. */
  held: PlaceRequest[]
  /** What it took, for the test that holds it to its complexity. */
  cost: { checks: number; comparisons: number }
}

/** Places what fits, in the order of the requests' first of each version; `picture` takes note of each placement. */
export function schedule(requests: readonly PlaceRequest[], picture: Picture, policy: Policy = spread): Schedule {
  const made: Schedule = { placements: [], held: [], cost: { checks: 0, comparisons: 0 } }
  for (const batch of batches(requests)) scheduleBatch(batch, picture, policy, made)
  return made
}

/** Why no node can take the task, node by node; at most REFUSALS_MAX, with a count of those left out. */
export function refusalsOf(request: PlaceRequest, picture: Picture): Refusal[] {
  if (picture.size === 0) return [{ node: null, check: 'no-nodes', figures: { nodes: 0 } }]
  const asked = request.onlyNode === null ? picture.values() : [picture.get(request.onlyNode)]
  const refusals: Refusal[] = []
  let left = 0
  for (const seen of asked) {
    const refusal = seen && refusalOf(request, seen)
    if (!refusal) continue
    if (refusals.length < REFUSALS_MAX) refusals.push(refusal)
    else left += 1
  }
  const last = refusals.at(-1)
  if (left > 0 && last) refusals.push({ node: null, check: last.check, figures: { moreNodes: left } })
  return refusals
}

/** They are stored with each waiting task. */
const REFUSALS_MAX = 100

export function sameRefusals(a: readonly Refusal[], b: readonly Refusal[]): boolean {
  return a.length === b.length && canonicalJson(a) === canonicalJson(b)
}

// ---------------------------------------------------------------- one batch

function batches(requests: readonly PlaceRequest[]): PlaceRequest[][] {
  const byVersion = new Map<string, PlaceRequest[]>()
  for (const request of requests) {
    const key = `${request.service.name} ${request.version.version}`
    const batch = byVersion.get(key)
    if (batch) batch.push(request)
    else byVersion.set(key, [request])
  }
  return [...byVersion.values()]
}

function scheduleBatch(batch: PlaceRequest[], picture: Picture, policy: Policy, made: Schedule): void {
  const bound = batch.filter((request) => boundTo(request) !== null)
  const free = batch.filter((request) => boundTo(request) === null)
  for (const request of bound) placeBound(request, picture, policy, made)
  const first = free[0]
  if (!first) return
  const choice = choiceOf(first, picture, policy, made)
  for (const request of free) {
    const seen = bestOf(choice)
    if (!seen) {
      made.held.push(request)
      continue
    }
    place(request, seen, { considered: picture.size, fitting: choice.fitting }, policy, made)
    made.cost.checks += 1
    settle(choice, movingRefusalOf(request, seen) === null)
  }
}

/** The one node that the task can go to, if there is only one. */
function boundTo({ onlyNode, service, slot, version }: PlaceRequest): string | null {
  if (onlyNode !== null) return onlyNode
  return hasNamedVolume(version.spec) ? (service.homes.get(slot) ?? null) : null
}

function placeBound(request: PlaceRequest, picture: Picture, policy: Policy, made: Schedule): void {
  const seen = picture.get(boundTo(request) ?? '')
  made.cost.checks += 1
  if (seen && refusalOf(request, seen) === null) place(request, seen, { considered: 1, fitting: 1 }, policy, made)
  else made.held.push(request)
}

function place(
  request: PlaceRequest,
  seen: NodePicture,
  counts: Pick<PlacementReason, 'considered' | 'fitting'>,
  policy: Policy,
  made: Schedule,
): void {
  const why = { policy: policy.name, ...counts, score: policy.score(request, seen) }
  made.placements.push({ kind: 'place-task', task: request.task, node: seen.node.name, why })
  hold(seen, request.task, request.service.name, request.version)
}

// ---------------------------------------------------------------- the choice among fitting nodes

/**
 * Fitting nodes by the values of the attributes to spread over (none: one group). Of the groups the one with the fewest
 * tasks of the service is next, level by level; within it the policy's best node.
 */
type Choice = { fitting: number; root: Group }
type Group = {
  tasks: number
  parent: Group | null
  children: Map<string, Group>
  /** Only where there are no further levels. */
  heap: Heap<NodePicture> | null
  /** Nodes left in the heaps below. */
  open: number
}

function choiceOf(request: PlaceRequest, picture: Picture, policy: Policy, made: Schedule): Choice {
  const compare = (a: NodePicture, b: NodePicture) => {
    made.cost.comparisons += 1
    return policy.compare(request, a, b)
  }
  const root = newGroup(null)
  const members = new Map<Group, NodePicture[]>()
  let fitting = 0
  for (const seen of picture.values()) {
    made.cost.checks += 1
    if (fixedRefusalOf(request, seen) !== null) continue
    const group = groupOf(root, request, seen)
    const tasks = seen.tasksByService.get(request.service.name) ?? 0
    const fits = movingRefusalOf(request, seen) === null
    for (let level: Group | null = group; level; level = level.parent) {
      level.tasks += tasks
      if (fits) level.open += 1
    }
    if (!fits) continue
    fitting += 1
    const list = members.get(group)
    if (list) list.push(seen)
    else members.set(group, [seen])
  }
  for (const [group, list] of members) group.heap = heapOf(list, compare)
  return { fitting, root }
}

function newGroup(parent: Group | null): Group {
  return { tasks: 0, parent, children: new Map(), heap: null, open: 0 }
}

function groupOf(root: Group, { version }: PlaceRequest, { node }: NodePicture): Group {
  let group = root
  for (const attribute of version.spec.placement.spreadOver) {
    const value = attributeOf(node, attribute) ?? ''
    let child = group.children.get(value)
    if (!child) {
      child = newGroup(group)
      group.children.set(value, child)
    }
    group = child
  }
  return group
}

function bestOf({ root }: Choice): NodePicture | null {
  return root.open === 0 ? null : (nextGroup(root).heap?.items[0] ?? null)
}

function nextGroup(root: Group): Group {
  let group = root
  while (group.children.size > 0) {
    let next: Group | null = null
    for (const child of group.children.values()) {
      if (child.open > 0 && (next === null || child.tasks < next.tasks)) next = child
    }
    if (next === null) break
    group = next
  }
  return group
}

/** The best node has just taken a task: it sinks to its new rank, or leaves when it can take no more. */
function settle(choice: Choice, stillFits: boolean): void {
  const group = nextGroup(choice.root)
  if (!group.heap) return
  if (stillFits) sinkFirst(group.heap)
  else {
    removeFirst(group.heap)
    choice.fitting -= 1
  }
  for (let level: Group | null = group; level; level = level.parent) {
    level.tasks += 1
    if (!stillFits) level.open -= 1
  }
}
