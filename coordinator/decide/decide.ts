/**
 * The heart: a World in, decisions with reasons out. No clock, no chance, nothing changed. Deciding again on the world
 * that the decisions lead to gives none: a round is finished when there is nothing to do.
 */
import type { Instant } from '../../shared/clock.ts'
import type { Decision, Service, ServiceName, World } from '../world.ts'
import { type Beat, stop, wakeBy } from './beat.ts'
import { refusalOf } from './checks/all.ts'
import { companyOf } from './company.ts'
import { dependenciesFirst } from './dependencies-first.ts'
import { judgeLiveness } from './liveness.ts'
import type { Marks } from './marks.ts'
import { type Picture, pictureOf, without } from './picture.ts'
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
  for (const service of servicesToLookAt(beat, marks)) reconcile(beat, service)
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
  const { placements, held } = schedule(beat.requests, picture, beat.world.settings.policy)
  // One by one: there may be more of them than a call takes arguments.
  for (const placement of placements) beat.decisions.push(placement)
  // After all placements: the figures of a refusal are those that the next beat will find as well.
  for (const request of held) {
    const refusals = refusalsOf(request, picture)
    if (!sameRefusals(refusals, request.waitsFor)) {
      beat.decisions.push({ kind: 'hold-task', task: request.task, refusals })
    }
    makeRoom(beat, request, picture)
  }
}

function pictureOfBeat(beat: Beat): Picture {
  const picture = pictureOf(beat.world)
  for (const [name, status] of beat.statuses) {
    const seen = picture.get(name)
    if (seen) seen.node = { ...seen.node, status }
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
    return
  }
}
