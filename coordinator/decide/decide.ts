/**
 * The heart: a World in, decisions with reasons out. No clock, no chance, nothing changed. Deciding again on the world
 * that the decisions lead to gives none: a round is finished when there is nothing to do.
 */
import type { Instant } from '../../shared/clock.ts'
import type { Decision, Service, ServiceName, World } from '../world.ts'
import { type Beat, wakeBy } from './beat.ts'
import { withinBound } from './bounded.ts'
import { companyOf } from './company.ts'
import { dependenciesFirst } from './dependencies-first.ts'
import { judgeLiveness } from './liveness.ts'
import { isMarkedAnew, type Marks, movesTasks } from './marks.ts'
import { placeAll } from './placing.ts'
import { considerRebalance } from './rebalance/auto.ts'
import { advanceRebalance } from './rebalance/progress.ts'
import { reconcile } from './reconcile.ts'
import { wantedVersionOf } from './service-facts.ts'
import type { DecideSettings } from './settings.ts'
import { servicesDue } from './waiters.ts'

/**
 * Looks at what is marked, at every node's liveness, and at services in motion that are not quiet. `wakeAt`: the next instant at which time
 * alone could change the answer; null: only a value can.
 */
export function decide(world: World, marks: Marks, now: Instant, settings: DecideSettings): Decided {
  const beat = newBeat(world, now, settings)
  judgeNodes(beat)
  const asked = namesToLookAt(beat, marks)
  const { chosen, left, tasks } = withinBound(world, asked, settings.tasksPerBeatMax)
  const services = dependenciesFirst(world, chosen)
  const quietUntil = new Map<ServiceName, Instant>()
  // In an order in which dependencies come first, so that a release sees what was decided about them in this beat.
  for (const service of services) lookAt(beat, service, quietUntil)
  wakeForQuiet(beat, marks, asked)
  for (const service of whoElseWaits(beat, services, asked)) reconcile(beat, service)
  forgetStacks(beat)
  placeAll(beat)
  advanceRebalance(beat)
  considerRebalance(beat)
  return { decisions: beat.decisions, wakeAt: beat.wakeAt, left, tasks, lookedAt: services, quietUntil }
}

export type Decided = {
  decisions: Decision[]
  wakeAt: Instant | null
  /** Services that there was no room for in this beat: they are to be marked for the next. */
  left: ServiceName[]
  /** About how many tasks were looked at, where that is bounded. */
  tasks: number
  lookedAt: Service[]
  /** Of those that had nothing to do: when time alone may give them something; infinite: never. */
  quietUntil: Map<ServiceName, Instant>
}

function lookAt(beat: Beat, service: Service, quietUntil: Map<ServiceName, Instant>): void {
  const done = () => beat.decisions.length + beat.requests.length
  const [doneBefore, wakeBefore] = [done(), beat.wakeAt]
  beat.wakeAt = null
  reconcile(beat, service)
  // What a service waits for that is held is another's affair, and no mark tells of it.
  if (done() === doneBefore && service.release.state === 'released') {
    quietUntil.set(service.name, beat.wakeAt ?? Number.POSITIVE_INFINITY)
  }
  if (wakeBefore !== null) wakeBy(beat, wakeBefore)
}

/** Those that are quiet are not looked at, and have their hour all the same. */
function wakeForQuiet(beat: Beat, { quietUntil }: Marks, asked: ReadonlySet<ServiceName>): void {
  if (!quietUntil) return
  for (const [name, at] of quietUntil) if (Number.isFinite(at) && !asked.has(name)) wakeBy(beat, at)
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

/** Those that were left by the beat before come first. */
function namesToLookAt(beat: Beat, marks: Marks): ReadonlySet<ServiceName> {
  const { world } = beat
  const due = servicesDue(beat)
  if (marks.all) return new Set(world.services.keys())
  const left = new Set(marks.left?.services)
  // Nothing has happened since: to look at whoever waits once more, for what was left, would leave them for the next beat, for ever.
  const isForRest = left.size > 0 && !isMarkedAnew(marks) && (marks.left?.wakeAt ?? Number.POSITIVE_INFINITY) > beat.now
  if (isForRest) return left.union(hoursCome(beat, marks))
  const names = new Set([...left, ...marks.services, ...inMotion(beat, marks), ...due])
  const nodes = new Set(marks.nodes)
  for (const [name, status] of beat.statuses) {
    const before = world.nodes.get(name)?.status
    if (before && movesTasks(before, status)) nodes.add(name)
  }
  for (const node of nodes) for (const task of world.tasksByNode.get(node) ?? []) names.add(task.service)
  const isRoomOther = marks.room || nodes.size > 0 || beat.statuses.size > 0
  if (marks.waiting || isRoomOther) for (const task of world.tasksWaiting) names.add(task.service)
  if (isRoomOther) {
    for (const service of world.services.values()) if (isGlobal(service)) names.add(service.name)
  }
  // What is placed in this beat may take room that a waiting task was told of: why it waits must stay true.
  if (names.size + nodes.size > 0) for (const task of world.tasksWaiting) names.add(task.service)
  return names
}

/** Those that were quiet until now. */
function hoursCome({ now }: Beat, { quietUntil }: Marks): Set<ServiceName> {
  return new Set([...(quietUntil ?? [])].filter(([, until]) => until <= now).map(([name]) => name))
}

function inMotion({ world, now }: Beat, { quietUntil }: Marks): ServiceName[] {
  return [...world.servicesInMotion].filter((name) => (quietUntil?.get(name) ?? now) <= now)
}

/**
 * A placement may open a place for tasks that want to be near it, and like a task that is told to stop it changes why
 * others wait; a service that no longer keeps others away lets them in. So whoever waits is looked at, too, where any of these may happen.
 */
function whoElseWaits(beat: Beat, lookedAt: readonly Service[], asked: ReadonlySet<ServiceName>): Service[] {
  const { world } = beat
  if (world.tasksWaiting.size === 0) return []
  if (beat.requests.length + beat.ended.size === 0 && !lookedAt.some(keepsAway)) return []
  const names = new Set<ServiceName>()
  for (const task of world.tasksWaiting) if (!asked.has(task.service)) names.add(task.service)
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
