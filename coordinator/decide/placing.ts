/**
 * Where the tasks that ask for a place go. Highest priority first, and within a priority oldest first; each priority is
 * done with before the next one is asked, in these steps:
 *
 *   1. who was promised room on a node before takes it, if it is free by now; else it stays promised: nobody of the same or
 *      a lower priority gets it, so that nobody slips in while the others stop
 *   2. all others, and those whose room came free elsewhere meanwhile, go where the scheduler finds a place for them
 *   3. who is held even so has the task stopped that it replaces, where that helps; or is promised what others leave;
 *      or has some of lower priority stopped for it
 *
 * A higher one may take what was promised to a lower one, which then looks anew. So does one whose promise no longer holds
 * beside what was placed on the node.
 */

import type { NodeName, Nomination, Preempted, Refusal, ServiceVersion, Task, TaskId } from '../world.ts'
import { type Beat, preempt, statusOf, stop } from './beat.ts'
import { isInviting, movingRefusalOf, refusalOf } from './checks/all.ts'
import { planTogether } from './packing/together.ts'
import { hold, type NodePicture, type Picture, pictureInSteps, without } from './picture.ts'
import { boundTo } from './placement/engine.ts'
import { type Ground, groundOf, laterOf, leave, reserve } from './preempt/ground.ts'
import type { Option } from './preempt/option.ts'
import { type Finder, finderOn, needsNeighbour, type Preemption } from './preempt/preempt.ts'
import { preemptedBy, whyNobody, whyNominated } from './preempt/told.ts'
import { byPriority, priorityOf } from './priority.ts'
import type { PlaceRequest } from './requests.ts'
import { refusalsOf, sameRefusals, schedule } from './schedule.ts'
import { placedByVersionOf } from './service-facts.ts'
import type { Steps } from './steps.ts'
import { holdsRoom } from './task-facts.ts'
import { longWaitOf } from './waiters.ts'

export function* placeAll(beat: Beat): Steps {
  if (beat.requests.length === 0) return
  const requests = [...beat.requests, ...promisedRequests(beat)]
  const picture = yield* pictureOfBeat(beat)
  const placing: Placing = {
    beat,
    picture,
    ground: groundOfBeat(beat, picture),
    placed: new Set(),
    nodesPlacedOn: new Set(),
    promised: new Map(),
    whyNot: new Map(),
  }
  const held = yield* placeByPriority(placing, requests)
  // After all placements: the figures of a refusal are those that the next beat will find as well.
  const refusalsFor = oncePerVersion(placing)
  const broken = promisesBroken(placing, held)
  for (const request of held) {
    if (broken.has(request.task)) takeBack(beat, request, placing.promised.get(request.task))
    else tellWhy(placing, request, refusalsFor(request))
    yield
  }
}

/** Who waited for a neighbour is asked again when others have got their places. Returns those that are held. */
function* placeByPriority(placing: Placing, requests: readonly PlaceRequest[]): Steps<PlaceRequest[]> {
  const createdAt = (task: TaskId) => placing.beat.world.tasks.get(task)?.createdAt ?? placing.beat.now
  const held: PlaceRequest[] = []
  let asked = requests
  while (asked.length > 0) {
    const before = placing.placed.size
    const left: PlaceRequest[] = []
    for (const level of byPriority(asked, createdAt))
      for (const held of yield* placeLevel(placing, level)) left.push(held)
    const again = placing.placed.size > before ? left.filter(needsNeighbour) : []
    for (const request of left) if (again.length === 0 || !needsNeighbour(request)) held.push(request)
    asked = again
  }
  return held
}

const PROMISED = { policy: 'promised', considered: 1, fitting: 1, score: {} }

type Placing = {
  beat: Beat
  picture: Picture
  ground: Ground
  /** The tasks that have got their places so far. */
  placed: Set<TaskId>
  nodesPlacedOn: Set<NodeName>
  /** Where those that are held are promised room, as of this beat. */
  promised: Map<TaskId, NodeName>
  /** Why nobody makes room for those that are promised none. */
  whyNot: Map<TaskId, Extract<Preemption, { option: null }>['why']>
}

function* pictureOfBeat(beat: Beat): Steps<Picture> {
  const picture = yield* pictureInSteps(beat.world, (service) => beat.services.get(service.name) ?? service)
  for (const [name, status] of beat.statuses) {
    const seen = picture.get(name)
    if (seen) seen.node = { ...seen.node, status }
  }
  return picture
}

/** Those that are told to stop in this beat leave as those told before do. */
function groundOfBeat({ world, now, ended, forgotten, preempted }: Beat, picture: Picture): Ground {
  const ground = groundOf(world, picture, now, preempted)
  for (const id of ended) {
    const task = world.tasks.get(id)
    if (task && task.desired === 'running' && !forgotten.has(id)) leave(ground, task)
    else ground.spoken.add(id)
  }
  return ground
}

/** Room that was promised counts also when the service of the task was not looked at in this beat. */
function promisedRequests(beat: Beat): PlaceRequest[] {
  const asked = new Set(beat.requests.map((request) => request.task))
  const requests: PlaceRequest[] = []
  for (const task of beat.world.tasksWaiting) {
    if (!task.nomination || asked.has(task.id) || beat.ended.has(task.id)) continue
    const service = beat.services.get(task.service) ?? beat.world.services.get(task.service)
    const version = service && placedByVersionOf(service, task)
    if (!service || !version) continue
    const { id, slot, onlyNode, waitsFor } = task
    requests.push({ task: id, service, version, slot, onlyNode, waitsFor })
  }
  return requests
}

// ---------------------------------------------------------------- one priority

/** Returns those that are held. */
function* placeLevel(placing: Placing, level: PlaceRequest[]): Steps<PlaceRequest[]> {
  const { beat, picture, ground } = placing
  const others = level.filter((request) => !takePromised(placing, request))
  const { policy } = beat.world.settings
  const { placements, held } = schedule(others, picture, policy, planTogether(others, picture, policy))
  for (const placement of placements) {
    beat.decisions.push(placement)
    notePlaced(placing, placement.task, placement.node)
  }
  const finder = finderOn(ground)
  yield
  for (const request of held) {
    if (placing.promised.has(request.task)) continue
    makeRoom(placing, finder, request)
    yield
  }
  return held
}

function notePlaced({ placed, nodesPlacedOn }: Placing, task: TaskId, node: NodeName): void {
  placed.add(task)
  nodesPlacedOn.add(node)
}

/** Whether the request has its place now; one that has not, and may still have it, keeps what it was promised. */
function takePromised(placing: Placing, request: PlaceRequest): boolean {
  const { beat, picture, ground, promised } = placing
  const node = nominationOf(beat, request.task)?.node
  const seen = node === undefined ? undefined : picture.get(node)
  if (node === undefined || !seen) return false
  if (refusalOf(request, seen) === null) {
    beat.decisions.push({ kind: 'place-task', task: request.task, node, why: PROMISED })
    hold(seen, request.task, request.service.name, request.version)
    notePlaced(placing, request.task, node)
    return true
  }
  if (!mayStillHave(beat, ground, request, seen)) return false
  reserve(ground, request, seen)
  promised.set(request.task, node)
  return false
}

function nominationOf(beat: Beat, task: TaskId): Nomination | null {
  return beat.world.tasks.get(task)?.nomination ?? null
}

/** A node that is away for a moment, or not heard yet after a start, keeps its tasks and its promises; a lost one has none. */
function mayStillHave(beat: Beat, ground: Ground, request: PlaceRequest, seen: NodePicture): boolean {
  const status = statusOf(beat, seen.node.name)?.name
  if (status === 'lost' || status === 'joining' || !isInviting(request, seen)) return false
  return movingRefusalOf(request, laterOf(ground, seen)) === null
}

function makeRoom(placing: Placing, finder: Finder, request: PlaceRequest): void {
  stopReplacedFirst(placing, request)
  const found = finder.find(request)
  if (!found.option) {
    placing.whyNot.set(request.task, found.why)
    return
  }
  promise(placing, request, found.option)
  finder.take(request, found.option)
}

/**
 * A replacement that is to start before the old task stops, and finds no room because of it (its host port, the memory
 * it is promised, the service's limit per node), would wait for ever: then the old one stops first after all. That
 * comes before anybody else is stopped for it.
 */
function stopReplacedFirst({ beat, picture, ground }: Placing, request: PlaceRequest): void {
  for (const old of beat.makeRoom.get(request.task) ?? []) {
    const seen = old.node === null ? undefined : picture.get(old.node)
    const version = beat.world.services.get(old.service)?.versions.get(old.version)
    if (!seen || !version || old.desired === 'stopped' || !holdsRoom(old)) continue
    // Stopping it elsewhere makes no room on the one node that a moved task may go to.
    if (request.onlyNode !== null && request.onlyNode !== old.node) continue
    if (refusalOf(request, without(seen, old.id, old.service, version)) !== null) continue
    stop(beat, old, `stops first: ${request.task} has no room beside it`)
    leave(ground, old)
    return
  }
}

function promise({ beat, promised }: Placing, request: PlaceRequest, { node, victims, lacks }: Option): void {
  const byPriority = priorityOf(request.service)
  for (const victim of victims) if (lacks) stopFor(beat, request, victim, { byPriority, lacked: lacks })
  const ids = victims.map(({ id }) => id)
  const why = whyNominated(request.task, byPriority, node, ids)
  const nomination = { node, at: beat.now, victims: ids }
  beat.decisions.push({ kind: 'nominate-task', task: request.task, nomination, why })
  promised.set(request.task, node)
}

function stopFor(
  beat: Beat,
  request: PlaceRequest,
  victim: Task,
  { byPriority, lacked }: Pick<Preempted, 'byPriority' | 'lacked'>,
): void {
  const service = beat.world.services.get(victim.service)
  const priority = service ? priorityOf(service) : 0
  const preempted: Preempted = { task: victim.id, by: request.task, priority, byPriority, lacked }
  preempt(beat, victim, preemptedBy(preempted), preempted)
}

// ---------------------------------------------------------------- promises that are broken

/**
 * Whose promise does not hold beside what was placed on its node in this beat. Its room is kept for it, but a limit per
 * node binds only tasks of the version that has it: one of another version may go there all the same. Each is asked as
 * the next beat will ask it: beside those that were promised room before it, not after.
 */
function promisesBroken(
  { picture, ground, promised, nodesPlacedOn }: Placing,
  held: readonly PlaceRequest[],
): Set<TaskId> {
  const broken = new Set<TaskId>()
  if (promised.size === 0) return broken
  const left = new Map<NodeName, NodePicture>()
  for (const request of held.toReversed()) {
    const node = promised.get(request.task)
    if (node === undefined || !nodesPlacedOn.has(node)) continue
    const seen = left.get(node) ?? picture.get(node)
    if (!seen) continue
    const before = without(seen, request.task, request.service.name, request.version)
    left.set(node, before)
    if (movingRefusalOf(request, laterOf(ground, before)) !== null) broken.add(request.task)
  }
  return broken
}

/** The next round looks for room for it anew, and tells it what it finds. */
function takeBack(beat: Beat, { task }: PlaceRequest, node: NodeName | undefined): void {
  beat.decisions.push({ kind: 'nominate-task', task, nomination: null, why: `${task} no longer gets room on ${node}` })
}

// ---------------------------------------------------------------- what those that are held are told

function tellWhy(placing: Placing, request: PlaceRequest, refusals: Refusal[]): void {
  const { beat, promised, whyNot } = placing
  if (!sameRefusals(refusals, request.waitsFor)) {
    beat.decisions.push({ kind: 'hold-task', task: request.task, refusals })
  }
  const nomination = nominationOf(beat, request.task)
  if (nomination && !promised.has(request.task)) takeBack(beat, request, nomination.node)
  const long = longWaitOf(beat, request.service.name, placing.placed)
  if (long?.task.id !== request.task) return
  const none = whyNot.get(request.task)
  const why = none ? whyNobody(request, none) : `room is being made on ${promised.get(request.task)}`
  beat.decisions.push({ kind: 'tell-wait', task: request.task, tasks: long.tasks, why })
}

/** Tasks of one version are refused alike, but for those that can go to one node only, or are promised room on one. */
function oncePerVersion({ picture, promised }: Placing): (request: PlaceRequest) => Refusal[] {
  const told = new Map<ServiceVersion, Refusal[]>()
  return (request) => {
    const node = promised.get(request.task)
    if (node !== undefined) return refusalsBut(picture, request, node)
    if (boundTo(request) !== null) return refusalsOf(request, picture)
    const refusals = told.get(request.version) ?? refusalsOf(request, picture)
    told.set(request.version, refusals)
    return refusals
  }
}

/** What is promised to the task itself is not in its way. */
function refusalsBut(picture: Picture, request: PlaceRequest, node: NodeName): Refusal[] {
  const seen = picture.get(node)
  if (!seen) return refusalsOf(request, picture)
  picture.set(node, without(seen, request.task, request.service.name, request.version))
  const refusals = refusalsOf(request, picture)
  picture.set(node, seen)
  return refusals
}
