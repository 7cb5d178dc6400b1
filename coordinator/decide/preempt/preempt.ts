/**
 * A task that no node can take looks for room among those of lower priority: on which node, and at whose cost. Strictly
 * lower ones only, so a chain of tasks that displace each other ends after at most as many links as there are
 * priorities, and who was displaced never displaces back (docs/decisions/preemption.md).
 *
 * Of all nodes the best is taken, exactly: nodes stand in a heap by what they could give at best, which their services
 * tell without a look at a single task; the first is looked at in full, and taken once nothing that was not looked at
 * could be better. A batch of requests of one version shares the heap, so that after the first each costs little more than
 * the one node that it takes.
 */
import type { NodeName } from '../../world.ts'
import { fixedRefusalOf } from '../checks/all.ts'
import type { NodePicture } from '../picture.ts'
import { boundTo } from '../placement/engine.ts'
import { type Heap, heapOf, insert, removeFirst, sinkFirst } from '../placement/heap.ts'
import { priorityOf } from '../priority.ts'
import type { PlaceRequest } from '../requests.ts'
import { type Cost, compareCosts } from './cost.ts'
import { type Ground, groundOf, leave, reserve, spend } from './ground.ts'
import { boundOn, type Option, optionOn } from './option.ts'

export type Preemption =
  | { option: Option }
  /**
   * Nothing helps: `off` for the cluster; `unheard`: nodes have not spoken since the coordinator started; `no-lower`: nobody
   * of lower priority is on a node that could take it; `budget`: those who are have none to spare; `too-little`: all of them
   * together would not make room enough; `neighbour`: see needsNeighbour; `moved`: see isMoved.
   */
  | { option: null; why: 'off' | 'unheard' | 'no-lower' | 'budget' | 'too-little' | 'neighbour' | 'moved' }

/**
 * For those who ask (`berth why`, `berth plan`) about a request that no node can take as it is: who would be stopped for it, on which node, or why nobody. Changes
 * nothing. With a `ground` of their own several questions share what it knows.
 */
export function preemptionsFor(request: PlaceRequest, ground: Ground): Preemption {
  const never = whyNever(request)
  if (never !== null) return { option: null, why: never }
  return bestOf(searchFor(ground, request), ground, request)
}

function whyNever(request: PlaceRequest): 'neighbour' | 'moved' | null {
  if (needsNeighbour(request)) return 'neighbour'
  return isMoved(request) ? 'moved' : null
}

/**
 * The task runs elsewhere already and is only to be in a better place: nobody is stopped for that. Of tasks with a slot, only what a
 * rebalance moves is made for one node.
 */
function isMoved({ onlyNode, slot }: PlaceRequest): boolean {
  return onlyNode !== null && slot > 0
}

/**
 * Who is to run beside another is promised no room: that one may leave before the room is free, and others would have been
 * stopped for nothing.
 */
export function needsNeighbour({ version }: Pick<PlaceRequest, 'version'>): boolean {
  return version.spec.placement.affinity?.some(({ anti, required }) => required && !anti) ?? false
}

export { groundOf }

/** Finds room for requests of one beat, one after the other, each seeing what those before it took. */
export type Finder = { find(request: PlaceRequest): Preemption; take(request: PlaceRequest, option: Option): void }

export function finderOn(ground: Ground): Finder {
  const searches = new Map<string, Search>()
  return {
    find(request) {
      if (boundTo(request) !== null || whyNever(request) !== null) return preemptionsFor(request, ground)
      const key = `${request.service.name} ${request.version.version}`
      const search = searches.get(key) ?? searchFor(ground, request)
      searches.set(key, search)
      return bestOf(search, ground, request)
    },
    take: (request, option) => takeOption(ground, request, option),
  }
}

/** The victims leave, and what they leave is the request's. */
export function takeOption(ground: Ground, request: PlaceRequest, option: Option): void {
  for (const victim of option.victims) {
    leave(ground, victim)
    spend(ground, victim.service)
  }
  const seen = ground.picture.get(option.node)
  if (seen) reserve(ground, request, seen)
}

// ---------------------------------------------------------------- the search over nodes

type Entry = {
  seen: NodePicture
  /** At least this, until `option` tells exactly. */
  cost: Cost
  option: Option | null
  /** When it was looked at: nodes changed since make it void, budgets spent since may make it dearer. */
  changes: number
  budgetsRevision: number
}

type Search = {
  heap: Heap<Entry>
  /** How much of `ground.changed` it knows of. */
  changes: number
  /** The latest entry of each node; older ones are passed over. */
  latest: Map<NodeName, Entry>
  whyNot: Set<string>
}

function searchFor(ground: Ground, request: PlaceRequest): Search {
  const search: Search = {
    heap: heapOf<Entry>([], compareEntries),
    changes: ground.changed.length,
    latest: new Map(),
    whyNot: new Set(),
  }
  const entries: Entry[] = []
  for (const seen of nodesFor(ground, request)) {
    const entry = entryFor(ground, request, seen, search)
    if (entry) entries.push(entry)
  }
  search.heap = heapOf(entries, compareEntries)
  return search
}

/** Where nobody of lower priority is anywhere, only nodes that somebody leaves are of interest. */
function nodesFor({ picture, leaving, isOff, lowestPriority }: Ground, request: PlaceRequest): Iterable<NodePicture> {
  const bound = boundTo(request)
  const there = (names: Iterable<NodeName>) => [...names].flatMap((name) => picture.get(name) ?? [])
  if (bound !== null) return there([bound])
  const mayStop = isOff === null && lowestPriority < priorityOf(request.service)
  return mayStop ? picture.values() : there(leaving.keys())
}

function entryFor(ground: Ground, request: PlaceRequest, seen: NodePicture, search: Search): Entry | null {
  ground.cost.nodes += 1
  const { name } = seen.node
  search.latest.delete(name)
  if (fixedRefusalOf(request, seen) !== null) return null
  const bound = boundOn(ground, request, seen)
  if (bound.cost === null) {
    search.whyNot.add(bound.why)
    return null
  }
  const { budgetsRevision } = ground
  const entry: Entry = { seen, cost: bound.cost, option: null, changes: ground.changed.length, budgetsRevision }
  search.latest.set(name, entry)
  return entry
}

function compareEntries(a: Entry, b: Entry): number {
  return compareCosts(a.cost, b.cost) || (a.seen.node.name < b.seen.node.name ? -1 : 1)
}

function bestOf(search: Search, ground: Ground, request: PlaceRequest): Preemption {
  lookAgain(search, ground, request)
  for (;;) {
    const entry = search.heap.items[0]
    if (!entry) return { option: null, why: whyNone(search, ground) }
    if (search.latest.get(entry.seen.node.name) !== entry) {
      removeFirst(search.heap)
      continue
    }
    const isCurrent = entry.option !== null && entry.budgetsRevision === ground.budgetsRevision
    if (isCurrent && entry.option) return { option: entry.option }
    const option = optionOn(ground, request, entry.seen)
    if (!option) {
      search.whyNot.add('too-little')
      search.latest.delete(entry.seen.node.name)
      removeFirst(search.heap)
      continue
    }
    entry.option = option
    entry.cost = option.cost
    entry.budgetsRevision = ground.budgetsRevision
    sinkFirst(search.heap)
  }
}

/** Nodes that were changed since: somebody leaves them, or has been promised room there. */
function lookAgain(search: Search, ground: Ground, request: PlaceRequest): void {
  const changed = new Set(ground.changed.slice(search.changes))
  search.changes = ground.changed.length
  for (const name of changed) {
    const seen = ground.picture.get(name)
    const entry = seen && entryFor(ground, request, seen, search)
    if (entry) insert(search.heap, entry)
  }
}

function whyNone({ whyNot }: Search, { isOff }: Ground): Extract<Preemption, { option: null }>['why'] {
  if (isOff !== null) return isOff
  if (whyNot.has('budget')) return 'budget'
  return whyNot.has('too-little') ? 'too-little' : 'no-lower'
}
