/**
 * The heart: a World in, decisions with reasons out. No clock, no chance, nothing changed. Deciding again on the world
 * that the decisions lead to gives none: a round is finished when there is nothing to do.
 */
import type { Instant } from '../../shared/clock.ts'
import type { Decision, Refusal, Service, ServiceName, ServiceVersion, World } from '../world.ts'
import { type Beat, stop, wakeBy } from './beat.ts'
import { refusalOf } from './checks/all.ts'
import { companyOf } from './company.ts'
import { dependenciesFirst } from './dependencies-first.ts'
import { judgeLiveness } from './liveness.ts'
import type { Marks } from './marks.ts'
import { leave, type Picture, pictureOf, without } from './picture.ts'
import { boundTo } from './placement/engine.ts'
import { reconcile } from './reconcile.ts'
import type { PlaceRequest } from './requests.ts'
import { refusalsOf, sameRefusals, schedule } from './schedule.ts'
import { wantedVersionOf } from './service-facts.ts'
import type { DecideSettings } from './settings.ts'
import { holdsRoom } from './task-facts.ts'

/**
 * Looks at what is marked, at every node's liveness, and at services in motion. `wakeAt`: the next instant at which time
 * alone could change the answer; null: only a value can.
 */
export function decide(
  world: World,
  marks: Marks,
  now: Instant,
  settings: DecideSettings,
): { decisions: Decision[]; wakeAt: Instant | null } {
  const beat = newBeat(world, now, settings)
  judgeNodes(beat)
  const services = servicesToLookAt(beat, marks)
  for (const service of services) reconcile(beat, service)
  for (const service of whoElseWaits(beat, services)) reconcile(beat, service)
  forgetStacks(beat)
  placeAll(beat)
  return { decisions: beat.decisions, wakeAt: beat.wakeAt }
}

function newBeat(world: World, now: Instant, settings: DecideSettings): Beat {
  return {
    world,
    now,
    settings,
    decisions: [],
    statuses: new Map(),
    services: new Map(),
    ended: new Set(),
    forgotten: new Set(),
    created: new Map(),
    nextTaskNumber: world.nextTaskNumber,
    requests: [],
    makeRoom: new Map(),
    wakeAt: null,
  }
}

// ---------------------------------------------------------------- nodes

function judgeNodes(beat: Beat): void {
  const company = companyOf(beat.world.nodes)
  for (const node of beat.world.nodes.values()) {
    const { status, wakeAt } = judgeLiveness(node, beat.now, beat.settings, company)
    if (wakeAt !== null) wakeBy(beat, wakeAt)
    if (!status) continue
    beat.statuses.set(node.name, status)
    beat.decisions.push({ kind: 'set-node-status', node: node.name, status })
  }
}

// ---------------------------------------------------------------- services

/** In an order in which dependencies come first, so that a release sees what was decided about them in this beat. */
function servicesToLookAt(beat: Beat, marks: Marks): Service[] {
  const { world } = beat
  if (marks.all) return dependenciesFirst(world, world.services.keys())
  const names = new Set([...marks.services, ...world.servicesInMotion])
  const nodes = new Set([...marks.nodes, ...beat.statuses.keys()])
  if (nodes.size > 0) {
    for (const node of nodes) for (const task of world.tasksByNode.get(node) ?? []) names.add(task.service)
    for (const task of world.tasksWaiting) names.add(task.service)
    for (const service of world.services.values()) if (isGlobal(service)) names.add(service.name)
  }
  return dependenciesFirst(world, names)
}

/**
 * A placement may open a place for tasks that want to be near it, and like a task that is told to stop it changes why
 * others wait; a service that no longer keeps others away lets them in. So whoever waits is looked at, too, where any of these may happen.
 */
function whoElseWaits(beat: Beat, lookedAt: Service[]): Service[] {
  const { world } = beat
  if (world.tasksWaiting.size === 0) return []
  if (beat.requests.length + beat.ended.size === 0 && !lookedAt.some(keepsAway)) return []
  const names = new Set<ServiceName>()
  for (const task of world.tasksWaiting) names.add(task.service)
  for (const service of lookedAt) names.delete(service.name)
  return dependenciesFirst(world, names)
}

/** In any of its versions: the wanted one may have changed. */
function keepsAway({ versions }: Service): boolean {
  for (const { spec } of versions.values()) {
    if (spec.placement.affinity?.some(({ anti, required }) => anti && required)) return true
  }
  return false
}

function isGlobal(service: Service): boolean {
  return wantedVersionOf(service).spec.mode.kind === 'global'
}

/** A stack goes with its last service. */
function forgetStacks(beat: Beat): void {
  const forgotten = new Set<ServiceName>()
  const stacks = new Set<string>()
  for (const decision of beat.decisions) {
    if (decision.kind !== 'forget-service') continue
    forgotten.add(decision.service)
    stacks.add(beat.world.services.get(decision.service)?.stack ?? '')
  }
  if (stacks.size === 0) return
  for (const service of beat.world.services.values()) if (!forgotten.has(service.name)) stacks.delete(service.stack)
  for (const stack of stacks) beat.decisions.push({ kind: 'forget-stack', stack })
}

// ---------------------------------------------------------------- places

function placeAll(beat: Beat): void {
  if (beat.requests.length === 0) return
  const picture = pictureOfBeat(beat)
  const held = scheduleAll(beat, picture)
  for (const request of held) makeRoom(beat, request, picture)
  // After all placements: the figures of a refusal are those that the next beat will find as well.
  const refusalsFor = oncePerVersion((request) => refusalsOf(request, picture))
  for (const request of held) {
    const refusals = refusalsFor(request)
    if (!sameRefusals(refusals, request.waitsFor)) {
      beat.decisions.push({ kind: 'hold-task', task: request.task, refusals })
    }
  }
}

/** Tasks of one version are refused alike, but for those that can go to one node only. */
function oncePerVersion(ask: (request: PlaceRequest) => Refusal[]): (request: PlaceRequest) => Refusal[] {
  const told = new Map<ServiceVersion, Refusal[]>()
  return (request) => {
    if (boundTo(request) !== null) return ask(request)
    const refusals = told.get(request.version) ?? ask(request)
    told.set(request.version, refusals)
    return refusals
  }
}

/** What found no place, once all is placed: who waited for a neighbour is asked again when others have got theirs. */
function scheduleAll(beat: Beat, picture: Picture): PlaceRequest[] {
  const held: PlaceRequest[] = []
  let asked: readonly PlaceRequest[] = beat.requests
  while (asked.length > 0) {
    const made = schedule(asked, picture, beat.world.settings.policy)
    for (const placement of made.placements) beat.decisions.push(placement)
    const again = made.placements.length > 0 ? made.held.filter(needsNeighbour) : []
    for (const request of made.held) if (again.length === 0 || !needsNeighbour(request)) held.push(request)
    asked = again
  }
  return held
}

function needsNeighbour({ version }: PlaceRequest): boolean {
  return version.spec.placement.affinity?.some(({ anti, required }) => required && !anti) ?? false
}

function pictureOfBeat(beat: Beat): Picture {
  const picture = pictureOf(beat.world, (service) => beat.services.get(service.name) ?? service)
  for (const [name, status] of beat.statuses) {
    const seen = picture.get(name)
    if (seen) seen.node = { ...seen.node, status }
  }
  for (const id of beat.ended) {
    const task = beat.world.tasks.get(id)
    const seen = task?.node === null || !task || beat.forgotten.has(id) ? undefined : picture.get(task.node)
    if (task && seen && task.desired === 'running' && holdsRoom(task)) leave(seen, task.service)
  }
  return picture
}

/**
 * A replacement that is to start before the old task stops, and finds no room because of it (its host port, the memory
 * it is promised, the service's limit per node), would wait for ever: then the old one stops first after all.
 */
function makeRoom(beat: Beat, request: PlaceRequest, picture: Picture): void {
  for (const old of beat.makeRoom.get(request.task) ?? []) {
    const seen = old.node === null ? undefined : picture.get(old.node)
    const version = beat.world.services.get(old.service)?.versions.get(old.version)
    if (!seen || !version || old.desired === 'stopped' || !holdsRoom(old)) continue
    if (refusalOf(request, without(seen, old.id, old.service, version)) !== null) continue
    stop(beat, old, `stops first: ${request.task} has no room beside it`)
    leave(seen, old.service)
    return
  }
}
