/**
 * The placement engine: from requests to nodes. Every task gets the node that looking at all of them would give, never a
 * sample's best; how it is found depends on how many tasks ask alike.
 *
 * - Many of one version: what depends on the node and the version alone is checked once per node, the fitting nodes stand in
 *   a heap by the policy's score, and each placement takes the first and lets it sink. Nodes + tasks × log(nodes).
 * - Few of one version: branch and bound over blocks of nodes (`search.ts`).
 * - Where something speaks against some nodes (`reluctance.ts`): tier by tier, the nodes against which least speaks first.
 *
 * Both look at columns of figures (`nodes.ts`); a test holds both to a reference that knows neither.
 */
import type { PolicyName } from '../../../shared/spec.ts'
import type { NodeName, Refusal, TaskId } from '../../world.ts'
import { fixedRefusalOf, otherRefusalFor } from '../checks/all.ts'
import { attributeOf } from '../checks/constraint.ts'
import type { NodePicture, Picture } from '../picture.ts'
import { POLICIES } from '../policies/all.ts'
import type { Need, Policy } from '../policies/policy.ts'
import { hasWishes, reluctance, swaysItself } from '../reluctance.ts'
import type { PlaceRequest } from '../requests.ts'
import { hasNamedVolume } from '../service-facts.ts'
import { type NodeClass, NodeClasses } from './classes.ts'
import { firstNode, type Group, groupFor, newGroup, order, settleFirst } from './groups.ts'
import { NodeHeap } from './node-heap.ts'
import { Nodes } from './nodes.ts'
import { searchBest, type Wanted } from './search.ts'

/**
 * Told of each request in turn; `index` -1: no node can take it. `fitting`: how many nodes could have; null: not counted.
 * Has to `hold` the task in the picture when anybody is going to ask for its ports or for the tasks of its service.
 */
export type Chosen = (request: PlaceRequest, index: number, fitting: number | null) => void

/** What it took, for the test that holds it to its complexity. */
export type Cost = { checks: number; scores: number; bounds: number; comparisons: number }

/** Up to so many tasks alike are looked for one by one; for more a heap of all nodes is cheaper. */
const SEARCHED_MAX = 16

export class Engine {
  readonly nodes: Nodes
  readonly cost: Cost = { checks: 0, scores: 0, bounds: 0, comparisons: 0 }
  readonly #policy: PolicyName
  readonly #classes: NodeClasses
  readonly #scores: Float64Array
  readonly #heap: NodeHeap
  readonly #one = new Int32Array(1)
  readonly #oneScore = new Float64Array(1)
  readonly #isTainted: boolean

  /** `policy`: for services that name none. */
  constructor(picture: Picture, policy: PolicyName) {
    this.nodes = new Nodes(picture)
    this.#policy = policy
    this.#classes = new NodeClasses(this.nodes, this.cost)
    this.#scores = new Float64Array(this.nodes.count)
    this.#heap = new NodeHeap(this.nodes.count)
    this.#isTainted = this.nodes.seen.some(({ node }) => node.taints.length > 0)
  }

  /**
   * In the order of the requests. `planned`: where tasks that were looked at together go; one that cannot go there any
   * more goes where it would without.
   */
  place(
    requests: readonly PlaceRequest[],
    chosen: Chosen,
    planned: ReadonlyMap<TaskId, NodeName> = NOTHING_PLANNED,
  ): void {
    if (planned.size > 0) {
      for (let at = 0; at < requests.length; at++) {
        const name = planned.get(requests[at]!.task)
        if (name !== undefined && this.#placeAsPlanned(requests[at]!, name, chosen)) continue
        this.#placeBatch({ requests, from: at, to: at + 1 }, chosen)
      }
      return
    }
    let from = 0
    for (let to = 1; to <= requests.length; to++) {
      if (to < requests.length && requests[to]!.version === requests[from]!.version) continue
      this.#placeBatch({ requests, from, to }, chosen)
      from = to
    }
  }

  policyOf({ version }: PlaceRequest): Policy {
    return POLICIES[version.spec.placement.policy ?? this.#policy]
  }

  needOf({ service, version }: PlaceRequest): Need {
    return this.nodes.seen[0]!.cluster.needOf(service.name, version)
  }

  /** How many nodes could take the task now. */
  countFitting(request: PlaceRequest): number {
    return this.#count(this.#wanted(request), this.#classes.of(request).eligible)
  }

  #count(wanted: Wanted, list: Int32Array): number {
    let fitting = 0
    for (const index of list) if (this.#fits(wanted, index)) fitting += 1
    return fitting
  }

  /** The best `max` of the nodes that could take the task now, best first. Looks at all of them: for people, not for placing. */
  bestOf(request: PlaceRequest, max: number): { index: number; score: number }[] {
    this.nodes.askFor(request.service.name)
    const wanted = this.#wanted(request)
    const best: { index: number; score: number }[] = []
    for (const tier of this.#tiersFor(request, this.#classes.of(request)))
      best.push(...this.#bestIn(tier, wanted, max - best.length))
    return best
  }

  #bestIn(list: Int32Array, wanted: Wanted, max: number): { index: number; score: number }[] {
    const best: { index: number; score: number }[] = []
    if (max <= 0) return best
    this.#eachFitting(list, wanted, (index, score) => {
      if (best.length === max && score >= best[max - 1]!.score) return
      const at = best.findIndex((other) => score < other.score)
      best.splice(at === -1 ? best.length : at, 0, { index, score })
      if (best.length > max) best.pop()
    })
    return best
  }

  /** The parts of a node's score for the task. */
  partsOf(request: PlaceRequest, index: number): Record<string, number> {
    this.nodes.askFor(request.service.name)
    return this.policyOf(request).parts(this.nodes.figures, index, this.needOf(request))
  }

  // ---------------------------------------------------------------- one batch

  #placeBatch(batch: Batch, chosen: Chosen): void {
    const { requests, from, to } = batch
    if (this.nodes.count === 0) {
      for (let at = from; at < to; at++) chosen(requests[at]!, -1, 0)
      return
    }
    if (isBound(batch)) {
      this.#placeOneByOne(batch, chosen)
      return
    }
    const first = requests[from]!
    this.nodes.askFor(first.service.name)
    // Each task of such a service may change where the next one fits, or would rather go, on all nodes.
    if (!swaysItself(first)) this.#placeAlike(batch, chosen)
    else for (let at = from; at < to; at++) this.#placeAlike({ requests, from: at, to: at + 1 }, chosen)
  }

  /** Tasks that nothing sets apart: what speaks against a node does so for all of them. */
  #placeAlike(batch: Batch, chosen: Chosen): void {
    const first = batch.requests[batch.from]!
    const wanted = this.#wanted(first)
    const nodeClass = this.#classes.of(first)
    const tiers = this.#tiersFor(first, nodeClass)
    if (tiers.length > 1) this.#placeInTiers(batch, wanted, tiers, chosen)
    else if (isSpread(first)) this.#placeInGroups(batch, wanted, nodeClass.eligible, chosen)
    else if (batch.to - batch.from > SEARCHED_MAX) this.#placeByHeap(batch, wanted, nodeClass.eligible, chosen)
    else this.#placeBySearch(batch, wanted, nodeClass, chosen)
  }

  /** Nodes against which less speaks come first, however good the others are. */
  #placeInTiers(batch: Batch, wanted: Wanted, tiers: readonly Int32Array[], chosen: Chosen): void {
    const counts = tiers.map((tier) => this.#count(wanted, tier))
    let left = batch
    for (const [at, tier] of tiers.entries()) {
      const beyond = counts.slice(at + 1).reduce((sum, count) => sum + count, 0)
      const missed: PlaceRequest[] = []
      const choose: Chosen = (request, index, fitting) => {
        if (index === -1 && at < tiers.length - 1) missed.push(request)
        else chosen(request, index, fitting === null ? null : fitting + beyond)
      }
      if (isSpread(batch.requests[batch.from]!)) this.#placeInGroups(left, wanted, tier, choose)
      else this.#placeByHeap(left, wanted, tier, choose)
      left = { requests: missed, from: 0, to: missed.length }
      if (missed.length === 0) return
    }
  }

  /** The eligible nodes by how much speaks against them, least first; mostly that is nothing, and there is one tier. */
  #tiersFor(request: PlaceRequest, { eligible, tiers: plain }: NodeClass): readonly Int32Array[] {
    if (!this.#isTainted && !hasWishes(request)) return plain
    const tiers = new Map<number, number[]>()
    for (const index of eligible) {
      const against = reluctance(request, this.nodes.seen[index]!)
      const tier = tiers.get(against)
      if (tier) tier.push(index)
      else tiers.set(against, [index])
    }
    const order = [...tiers.keys()].sort((a, b) => a - b)
    return order.length > 1 ? order.map((against) => Int32Array.from(tiers.get(against)!)) : plain
  }

  #placeBySearch({ requests, from, to }: Batch, wanted: Wanted, nodeClass: NodeClass, chosen: Chosen): void {
    const blocks = this.#classes.blocksOf(nodeClass, wanted.policy)
    for (let at = from; at < to; at++) {
      const index = searchBest(wanted, this.nodes, blocks, this.cost)
      chosen(requests[at]!, index, null)
      if (index !== -1) this.#take(wanted, index)
    }
  }

  #placeByHeap({ requests, from, to }: Batch, wanted: Wanted, list: Int32Array, chosen: Chosen): void {
    const heap = this.#heap
    heap.clear()
    this.#eachFitting(list, wanted, (index, score) => heap.add(index, score))
    heap.order()
    for (let at = from; at < to; at++) {
      const index = heap.first
      chosen(requests[at]!, index, heap.size)
      if (index === -1) continue
      this.#take(wanted, index)
      if (this.#fits(wanted, index)) heap.changeFirst(this.#scoreOf(wanted, index))
      else heap.removeFirst()
    }
    this.cost.comparisons += heap.comparisons
    heap.comparisons = 0
  }

  #placeInGroups({ requests, from, to }: Batch, wanted: Wanted, list: Int32Array, chosen: Chosen): void {
    const { root, fitting } = this.#groupsFor(requests[from]!, wanted, list)
    let left = fitting
    for (let at = from; at < to; at++) {
      const index = left === 0 ? -1 : firstNode(root)
      chosen(requests[at]!, index, left)
      if (index === -1) continue
      this.#take(wanted, index)
      const fits = this.#fits(wanted, index)
      if (!fits) left -= 1
      settleFirst(root, fits ? this.#scoreOf(wanted, index) : null)
    }
  }

  /** Tasks of all eligible nodes count in their groups, also where there is no room for more. */
  #groupsFor(request: PlaceRequest, wanted: Wanted, list: Int32Array): { root: Group; fitting: number } {
    const { spreadOver } = request.version.spec.placement
    const { seen, figures } = this.nodes
    const root = newGroup()
    const groups = new Map<number, Group>()
    for (const index of this.#classes.of(request).eligible) {
      const values = spreadOver.map((attribute) => attributeOf(seen[index]!.node, attribute) ?? '')
      const group = groupFor(root, values, figures.low.ownTasks[index]!)
      group.nodeCount += 1
      groups.set(index, group)
    }
    let fitting = 0
    this.#eachFitting(list, wanted, (index, score) => {
      const group = groups.get(index)!
      group.nodes ??= new NodeHeap(group.nodeCount)
      group.nodes.add(index, score)
      fitting += 1
    })
    order(root, this.cost)
    return { root, fitting }
  }

  #eachFitting(list: Int32Array, wanted: Wanted, found: (index: number, score: number) => void): void {
    wanted.policy.scores(this.nodes.figures, list, 0, list.length, wanted.need, this.#scores)
    this.cost.scores += list.length
    for (let at = 0; at < list.length; at++) {
      if (this.#fits(wanted, list[at]!)) found(list[at]!, this.#scores[at]!)
    }
  }

  #fits(wanted: Wanted, index: number): boolean {
    return this.nodes.hasRoom(index, wanted.cpuCores, wanted.memoryBytes) && (wanted.passes?.(index) ?? true)
  }

  #scoreOf({ policy, need }: Wanted, index: number): number {
    this.#one[0] = index
    policy.scores(this.nodes.figures, this.#one, 0, 1, need, this.#oneScore)
    this.cost.scores += 1
    return this.#oneScore[0]!
  }

  #take({ need, promised }: Wanted, index: number): void {
    this.nodes.take(index, need, promised)
  }

  #wanted(request: PlaceRequest): Wanted {
    const { reservation } = request.version.spec.task.container.resources
    const { cpuCores, memoryBytes } = reservation
    return {
      policy: this.policyOf(request),
      need: this.needOf(request),
      promised: reservation,
      cpuCores: cpuCores === 0 ? Number.NEGATIVE_INFINITY : cpuCores,
      memoryBytes: memoryBytes === 0 ? Number.NEGATIVE_INFINITY : memoryBytes,
      passes: this.#otherChecksFor(request),
    }
  }

  #otherChecksFor(request: PlaceRequest): Wanted['passes'] {
    const { seen } = this.nodes
    const otherRefusal = otherRefusalFor(request, seen[0]!.cluster)
    return otherRefusal === null ? null : passesOn(seen, otherRefusal)
  }

  // ---------------------------------------------------------------- bound to one node

  #placeOneByOne({ requests, from, to }: Batch, chosen: Chosen): void {
    for (let at = from; at < to; at++) {
      const name = boundTo(requests[at]!)
      if (name === null) this.#placeBatch({ requests, from: at, to: at + 1 }, chosen)
      else this.#placeOn(requests[at]!, name, chosen)
    }
  }

  #placeOn(request: PlaceRequest, name: NodeName, chosen: Chosen): void {
    const index = this.nodes.indexOf(name)
    const seen = this.nodes.seen[index]
    const wanted = this.#wanted(request)
    this.cost.checks += 1
    this.nodes.askFor(request.service.name)
    const fits = seen && fixedRefusalOf(request, seen) === null && this.#fits(wanted, index)
    chosen(request, fits ? index : -1, fits ? 1 : 0)
    if (fits) this.#take(wanted, index)
  }

  /** Whether it can go there; then it is placed. */
  #placeAsPlanned(request: PlaceRequest, name: NodeName, chosen: Chosen): boolean {
    const index = this.nodes.indexOf(name)
    const seen = this.nodes.seen[index]
    const wanted = this.#wanted(request)
    this.cost.checks += 1
    if (!seen || fixedRefusalOf(request, seen) !== null || !this.#fits(wanted, index)) return false
    this.nodes.askFor(request.service.name)
    chosen(request, index, null)
    this.#take(wanted, index)
    return true
  }
}

const NOTHING_PLANNED: ReadonlyMap<TaskId, NodeName> = new Map()

/** Requests of one version: those from `from` until before `to`. */
type Batch = { requests: readonly PlaceRequest[]; from: number; to: number }

function passesOn(seen: readonly NodePicture[], refusal: (seen: NodePicture) => Refusal | null): Wanted['passes'] {
  return (index) => refusal(seen[index]!) === null
}

function isSpread({ version }: PlaceRequest): boolean {
  return version.spec.placement.spreadOver.length > 0
}

/** Whether some of them can go to one node only. */
function isBound({ requests, from, to }: Batch): boolean {
  for (let at = from; at < to; at++) if (boundTo(requests[at]!) !== null) return true
  return false
}

/** The one node that the task can go to, if there is only one. */
export function boundTo({ onlyNode, service, slot, version }: PlaceRequest): NodeName | null {
  if (onlyNode !== null) return onlyNode
  if (service.homes.size === 0) return null
  return hasNamedVolume(version.spec) ? (service.homes.get(slot) ?? null) : null
}
