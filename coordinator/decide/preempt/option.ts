/** One node, one request: whom it would have to take the room from, and a quick bound on what that would cost. */
import type { NodeName, Refusal, ServiceName, ServiceVersion, Task, TaskId } from '../../world.ts'
import { movingRefusalOf } from '../checks/all.ts'
import { type NodePicture, without } from '../picture.ts'
import { priorityOf } from '../priority.ts'
import type { PlaceRequest } from '../requests.ts'
import { holdsRoom } from '../task-facts.ts'
import { addedCost, cheapestSet, type Kind, ROUNDING } from './cheapest-set.ts'
import { type Cost, NO_COST } from './cost.ts'
import {
  budgetOf,
  type Ground,
  laterOf,
  lostMs,
  mayBeVictim,
  type Resident,
  residentsOf,
  spareOf,
  versionOf,
  withoutAll,
} from './ground.ts'
import { type Measure, measuresOf } from './measures.ts'

export type Option = {
  node: NodeName
  /** To be stopped, dearest last; empty: those that leave the node already leave room enough. */
  victims: Task[]
  cost: Cost
  /** What the node lacks as it will be without them; null: nothing, once those that leave have left. */
  lacks: Refusal | null
}

/** What a node could give at best, without looking at its tasks; null: nothing, whoever is stopped there. */
export type Bound = { cost: Cost } | { cost: null; why: 'fixed' | 'no-lower' | 'budget' | 'too-little' }

/** Never dearer than what `optionOn` finds. Looks at the services of the node, not at its tasks. */
export function boundOn(ground: Ground, request: PlaceRequest, seen: NodePicture): Bound {
  const later = laterOf(ground, seen)
  ground.cost.checks += 1
  const lacks = movingRefusalOf(request, later)
  if (!lacks) return { cost: NO_COST }
  if (ground.isOff !== null || neverHelps(lacks)) return { cost: null, why: 'fixed' }
  const { short, measures } = shortageOf(request, later)
  const seenLower = lowerOn(ground, request, later, measures)
  if (seenLower.count === 0) return { cost: null, why: seenLower.isSpent ? 'budget' : 'no-lower' }
  let more = 1
  for (const [index, needed] of short.entries()) {
    if (seenLower.total[index]! + ROUNDING < needed) {
      return { cost: null, why: seenLower.isSpent ? 'budget' : 'too-little' }
    }
    more = Math.max(more, Math.ceil((needed - ROUNDING) / seenLower.largest[index]!))
  }
  return { cost: [0, more, seenLower.priority, more * seenLower.priority, 1, 0] }
}

/** The best there is on the node, cheaper than `cheaperThan`; null: none. */
export function optionOn(
  ground: Ground,
  request: PlaceRequest,
  seen: NodePicture,
  cheaperThan: Cost | null = null,
): Option | null {
  const later = laterOf(ground, seen)
  ground.cost.checks += 1
  const lacks = movingRefusalOf(request, later)
  const node = seen.node.name
  if (!lacks) return { node, victims: [], cost: NO_COST, lacks: null }
  if (ground.isOff !== null || neverHelps(lacks)) return null
  const forced = forcedVictims(ground, request, later)
  if (!forced) return null
  const { short, measures } = shortageOf(request, forced.seen)
  const residents = candidatesOf(ground, request, node, forced)
  const kinds = residents.map((resident) => kindOf(ground, resident, measures, forced.seen))
  const victimsOf = (counts: readonly number[]) =>
    residents.flatMap((resident, index) => resident.tasks.slice(0, counts[index]))
  const found = cheapestSet(
    {
      kinds,
      short,
      budgetOf: (service) => budgetOf(ground, service) - (forced.services.get(service) ?? 0),
      isEnough: (counts) => {
        ground.cost.checks += 1
        return movingRefusalOf(request, withoutAll(ground, forced.seen, victimsOf(counts))) === null
      },
      start: { cost: forced.cost, services: new Set(forced.services.keys()) },
      cheaperThan,
    },
    ground.cost,
  )
  if (!found) return null
  const victims = [...forced.tasks, ...victimsOf(found.counts)]
  return { node, victims, cost: found.cost, lacks }
}

/** The node is not the place, or what is in the way is the service's own: nobody's stopping changes that. */
function neverHelps(lacks: Refusal): boolean {
  return lacks.check === 'volume' || lacks.check === 'max-per-node'
}

// ---------------------------------------------------------------- what is short

function shortageOf(request: PlaceRequest, seen: NodePicture): { short: number[]; measures: Measure[] } {
  const { container } = request.version.spec.task
  const measures = measuresOf(container).filter((measure) => measure.shortOf(container, seen) > ROUNDING)
  return { measures, short: measures.map((measure) => measure.shortOf(container, seen)) }
}

type Lower = {
  count: number
  /** A service of lower priority is there that can spare no more. */
  isSpent: boolean
  priority: number
  total: number[]
  largest: number[]
}

function lowerOn(ground: Ground, request: PlaceRequest, seen: NodePicture, measures: readonly Measure[]): Lower {
  const priority = priorityOf(request.service)
  const lower: Lower = {
    count: 0,
    isSpent: false,
    priority: Number.POSITIVE_INFINITY,
    total: measures.map(() => 0),
    largest: measures.map(() => 0),
  }
  for (const [name, count] of seen.tasksByService) {
    ground.cost.services += 1
    const spare = spareOf(ground, name)
    if (count === 0 || !spare || spare.priority >= priority || spare.isGlobal || spare.removing) continue
    const budget = budgetOf(ground, name)
    if (budget < count) lower.isSpent = true
    const most = Math.min(count, budget)
    if (most <= 0) continue
    lower.count += most
    lower.priority = Math.min(lower.priority, spare.priority)
    for (const [index, measure] of measures.entries()) {
      const amount = mostHeld(spare.versions, measure, seen)
      lower.total[index]! += most * amount
      lower.largest[index] = Math.max(lower.largest[index]!, amount)
    }
  }
  return lower
}

function mostHeld(versions: readonly ServiceVersion[], measure: Measure, seen: NodePicture): number {
  let most = 0
  for (const { spec } of versions) most = Math.max(most, measure.heldBy(spec.task.container, seen))
  return most
}

// ---------------------------------------------------------------- who has to go in any case

type Forced = {
  tasks: Task[]
  ids: Set<TaskId>
  services: Map<ServiceName, number>
  cost: Cost
  /** The node without them. */
  seen: NodePicture
}

/** Whoever holds a host port that the request needs, or must not be near it. Null: one of them may not be stopped for it. */
function forcedVictims(ground: Ground, request: PlaceRequest, later: NodePicture): Forced | null {
  const priority = priorityOf(request.service)
  const forced: Forced = { tasks: [], ids: new Set(), services: new Map(), cost: NO_COST, seen: later }
  for (;;) {
    ground.cost.checks += 1
    const refusal = movingRefusalOf(request, forced.seen)
    if (refusal?.check !== 'host-port' && refusal?.check !== 'affinity') return forced
    const inTheWay = inTheWayOf(ground, refusal, later.node.name).filter((task) => !forced.ids.has(task.id))
    if (inTheWay.length === 0) return null
    for (const task of inTheWay) {
      if (!mayBeVictim(ground, priority, task) || !force(ground, forced, task)) return null
    }
  }
}

/** Those that the refusal names, as far as they are on the node. */
function inTheWayOf({ world, leaving }: Ground, { check, figures }: Refusal, node: NodeName): Task[] {
  if (check === 'host-port') return [world.tasks.get(String(figures.heldBy)) ?? []].flat()
  const isThere = (task: Task) => task.service === figures.service && holdsRoom(task)
  const leaves = new Set(leaving.get(node))
  return [...(world.tasksByNode.get(node) ?? [])].filter((task) => isThere(task) && !leaves.has(task))
}

function force(ground: Ground, forced: Forced, holder: Task): boolean {
  const taken = forced.services.get(holder.service) ?? 0
  if (budgetOf(ground, holder.service) <= taken) return false
  const resident = residentsOf(ground, holder.node ?? '').find(({ tasks }) => tasks.includes(holder))
  const version = versionOf(ground.world, holder)
  if (!resident || !version) return false
  forced.cost = addedCost(
    forced.cost,
    { ...kindOf(ground, resident, [], forced.seen), lostMs: [lostMs(holder, ground.now)] },
    1,
    taken === 0,
  )
  forced.tasks.push(holder)
  forced.ids.add(holder.id)
  forced.services.set(holder.service, taken + 1)
  forced.seen = without(forced.seen, holder.id, holder.service, version)
  return true
}

// ---------------------------------------------------------------- who else could go

function candidatesOf(ground: Ground, request: PlaceRequest, node: NodeName, forced: Forced): Resident[] {
  const priority = priorityOf(request.service)
  const lower = residentsOf(ground, node).filter((resident) => resident.priority < priority)
  if (forced.tasks.length === 0) return lower
  return lower.map((resident) => ({ ...resident, tasks: resident.tasks.filter((task) => !forced.ids.has(task.id)) }))
}

function kindOf(ground: Ground, resident: Resident, measures: readonly Measure[], seen: NodePicture): Kind {
  const { service, version, priority, isHomeBound, tasks } = resident
  return {
    service: service.name,
    isHomeBound,
    priority,
    amounts: measures.map((measure) => measure.heldBy(version.spec.task.container, seen)),
    lostMs: tasks.map((task) => lostMs(task, ground.now)),
  }
}
