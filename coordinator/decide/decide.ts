/**
 * The heart: a World in, decisions with reasons out. No clock, no chance, nothing changed. Deciding again on the world
 * that the decisions lead to gives none: a round is finished when there is nothing to do.
 */
import type { Instant } from '../../shared/clock.ts'
import type { Decision, Service, ServiceName, World } from '../world.ts'
import { type Beat, wakeBy } from './beat.ts'
import { companyOf } from './company.ts'
import { dependenciesFirst } from './dependencies-first.ts'
import { failingDue } from './failing.ts'
import { judgeLiveness } from './liveness.ts'
import { type Marks, movesTasks } from './marks.ts'
import { placeAll } from './placing.ts'
import { considerRebalance } from './rebalance/auto.ts'
import { advanceRebalance } from './rebalance/progress.ts'
import { reconcile } from './reconcile.ts'
import { wantedVersionOf } from './service-facts.ts'
import type { DecideSettings } from './settings.ts'
import { atOnce, type Steps } from './steps.ts'
import { servicesDue } from './waiters.ts'

/**
 * Looks at what is marked, at every node's liveness, and at services in motion. `wakeAt`: the next instant at which time
 * alone could change the answer; null: only a value can.
 */
export function decide(world: World, marks: Marks, now: Instant, settings: DecideSettings): Decided {
  return atOnce(decideInSteps(world, marks, now, settings))
}

export type Decided = { decisions: Decision[]; wakeAt: Instant | null }

/** The same, to be interrupted; the world must stay as it is until it is done. */
export function* decideInSteps(world: World, marks: Marks, now: Instant, settings: DecideSettings): Steps<Decided> {
  const beat = newBeat(world, now, settings)
  judgeNodes(beat)
  yield
  const services = servicesToLookAt(beat, marks)
  yield
  for (const service of services) {
    reconcile(beat, service)
    yield
  }
  for (const service of whoElseWaits(beat, services)) {
    reconcile(beat, service)
    yield
  }
  forgetStacks(beat)
  yield* placeAll(beat)
  advanceRebalance(beat)
  considerRebalance(beat)
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
    preempted: new Map(),
    nextTaskNumber: world.nextTaskNumber,
    requests: [],
    makeRoom: new Map(),
    wakeAt: null,
  }
}

// ---------------------------------------------------------------- nodes

function judgeNodes(beat: Beat): void {
  const company = companyOf(beat.world.nodes, beat.now, beat.settings)
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
  const due = [...servicesDue(beat), ...failingDue(beat)]
  if (marks.all) return dependenciesFirst(world, world.services.keys())
  const names = new Set([...marks.services, ...world.servicesInMotion, ...due])
  const nodes = new Set(marks.nodes)
  for (const [name, status] of beat.statuses) {
    const before = world.nodes.get(name)?.status
    if (before && movesTasks(before, status)) nodes.add(name)
  }
  for (const node of nodes) for (const task of world.tasksByNode.get(node) ?? []) names.add(task.service)
  const isRoomOther = marks.room || nodes.size > 0 || beat.statuses.size > 0
  if (marks.waiting || isRoomOther) {
    for (const task of world.tasksWaiting) names.add(task.service)
    // What its node keeps failing may wait there until there is room elsewhere.
    for (const name of world.servicesFailing) names.add(name)
  }
  if (isRoomOther) {
    for (const service of world.services.values()) {
      if (isGlobal(service) || isPlatformRefused(service)) names.add(service.name)
    }
    for (const task of world.tasksFailing) names.add(task.service)
  }
  // What is placed in this beat may take room that a waiting task was told of: why it waits must stay true.
  if (names.size + nodes.size > 0) for (const task of world.tasksWaiting) names.add(task.service)
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

/** Tasks whose image is not made for their node stay there as long as there is none of another platform. */
function isPlatformRefused({ versions }: Service): boolean {
  return versions.values().some(({ refusedPlatforms }) => refusedPlatforms !== undefined)
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
