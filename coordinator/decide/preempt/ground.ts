/**
 * What preempting is judged on during one beat: who is on each node, who leaves already, how many more each service can
 * spare. Reckoned only where it is asked for, and kept up to date by what the beat takes.
 */
import type { Instant } from '../../../shared/clock.ts'
import type { Node, NodeName, Service, ServiceName, ServiceVersion, Task, TaskId, World } from '../../world.ts'
import { hold, leave as isToLeave, type NodePicture, type Picture, without } from '../picture.ts'
import { priorityOf } from '../priority.ts'
import type { PlaceRequest } from '../requests.ts'
import { hasNamedVolume, wantedVersionOf } from '../service-facts.ts'
import { hasMadeGood, holdsRoom, isPreempted } from '../task-facts.ts'
import { isOverdue } from './overdue.ts'

export type Ground = {
  world: World
  picture: Picture
  now: Instant
  /** Tasks that were told to stop and still hold their room, by node. */
  leaving: Map<NodeName, Task[]>
  /** Tasks that this beat has ended or has chosen already. */
  spoken: Set<TaskId>
  /** `SERVICE.SLOT` of those that were preempted and whose slot is given to another task. */
  queued: ReadonlyMap<string, unknown>
  /** The lowest priority of any service: who has no more than that need not look for victims. */
  lowestPriority: number
  /** Why nobody may be stopped for anybody just now; null: they may. */
  isOff: 'off' | 'unheard' | null
  /** Nodes in the order in which the beat changed them: who has looked at them before looks again. */
  changed: NodeName[]
  /** Grows when a service has less to spare. */
  budgetsRevision: number
  cache: { budgets: Map<ServiceName, number>; residents: Map<NodeName, Resident[]>; services: Map<ServiceName, Spare> }
  /** What it took, for the test that holds it to its complexity. */
  cost: { nodes: number; services: number; tasks: number; steps: number; checks: number }
}

/** Tasks of one version of a service on one node, all of which or none of which would come back only there. */
export type Resident = {
  service: Service
  version: ServiceVersion
  priority: number
  isHomeBound: boolean
  /** Those that lose least work first. */
  tasks: Task[]
}

/** Of a service, for a quick look: its priority, and the most that one of its tasks holds. */
export type Spare = { priority: number; versions: ServiceVersion[]; isGlobal: boolean; removing: boolean }

export function groundOf(
  world: World,
  picture: Picture,
  now: Instant,
  queued: ReadonlyMap<string, unknown> = new Map(),
): Ground {
  const ground: Ground = {
    world,
    picture,
    now,
    leaving: new Map(),
    spoken: new Set(),
    queued,
    lowestPriority: lowestPriority(world),
    isOff: world.settings.preemption ? (picture.values().some(isUnheard) ? 'unheard' : null) : 'off',
    changed: [],
    budgetsRevision: 0,
    cache: { budgets: new Map(), residents: new Map(), services: new Map() },
    cost: { nodes: 0, services: 0, tasks: 0, steps: 0, checks: 0 },
  }
  for (const task of world.tasksStopping) note(ground, task)
  return ground
}

/** After a start some nodes have not spoken yet: there may be room, so nobody is stopped for want of it. */
function isUnheard({ node }: { node: Node }): boolean {
  return node.status.name === 'ready' && node.connection === null
}

function lowestPriority(world: World): number {
  let lowest = Number.POSITIVE_INFINITY
  for (const service of world.services.values()) lowest = Math.min(lowest, priorityOf(service))
  return lowest
}

/** The task is told to stop in this beat. */
export function leave(ground: Ground, task: Task): void {
  note(ground, task)
  const seen = ground.picture.get(task.node ?? '')
  if (seen && holdsRoom(task)) isToLeave(seen, task.service)
}

function note(ground: Ground, task: Task): void {
  ground.spoken.add(task.id)
  if (task.node === null || !holdsRoom(task)) return
  const version = versionOf(ground.world, task)
  if (!version || isOverdue(task, version.spec, ground.now)) return
  const leaving = ground.leaving.get(task.node)
  if (leaving) leaving.push(task)
  else ground.leaving.set(task.node, [task])
  touch(ground, task.node)
}

/** The node as it will be when those that leave have left. */
export function laterOf(ground: Ground, seen: NodePicture): NodePicture {
  return withoutAll(ground, seen, ground.leaving.get(seen.node.name) ?? [])
}

export function withoutAll(ground: Ground, seen: NodePicture, tasks: readonly Task[]): NodePicture {
  let left = seen
  for (const task of tasks) {
    const version = versionOf(ground.world, task)
    if (version) left = without(left, task.id, task.service, version)
  }
  return left
}

/** From now on the room counts as the request's, though it may be another's still; it is nobody's neighbour yet. */
export function reserve(ground: Ground, request: PlaceRequest, seen: NodePicture): void {
  hold(seen, request.task, request.service.name, request.version)
  isToLeave(seen, request.service.name)
  touch(ground, seen.node.name)
}

function touch(ground: Ground, node: NodeName): void {
  ground.changed.push(node)
  ground.cache.residents.delete(node)
}

// ---------------------------------------------------------------- who may be a victim

/**
 * Never one of a global service: it could come back to this node only, where its room has another's name. Never one that
 * leaves already, or of a service that is being removed.
 */
export function mayBeVictim(ground: Ground, priority: number, task: Task): boolean {
  const spare = spareOf(ground, task.service)
  if (!spare || spare.removing || spare.isGlobal || spare.priority >= priority) return false
  return task.desired === 'running' && holdsRoom(task) && !ground.spoken.has(task.id)
}

export function spareOf(ground: Ground, name: ServiceName): Spare | null {
  const known = ground.cache.services.get(name)
  if (known) return known
  const service = ground.world.services.get(name)
  if (!service) return null
  const spare: Spare = {
    priority: priorityOf(service),
    versions: [...service.versions.values()],
    isGlobal: wantedVersionOf(service).spec.mode.kind === 'global',
    removing: service.removing,
  }
  ground.cache.services.set(name, spare)
  return spare
}

/** How many more of the service's tasks may be preempted: its budget less those that are, until they run again. */
export function budgetOf(ground: Ground, name: ServiceName): number {
  const known = ground.cache.budgets.get(name)
  if (known !== undefined) return known
  const service = ground.world.services.get(name)
  const tasksMax = service && wantedVersionOf(service).spec.preemption?.tasksMax
  const budget = tasksMax === undefined ? Number.POSITIVE_INFINITY : Math.max(0, tasksMax - preemptedOf(ground, name))
  ground.cache.budgets.set(name, budget)
  return budget
}

/**
 * One that stops and the one that takes its place are one loss. `queued` are those whose place is taken in this beat: the
 * one that was stopped has ended, and the other is not in the world yet.
 */
function preemptedOf({ world, queued }: Ground, name: ServiceName): number {
  const lost = new Set<TaskId>()
  for (const task of world.tasksByService.get(name) ?? []) {
    if (!task.preempted || hasMadeGood(task)) continue
    if (isPreempted(task) || queued.has(`${name}.${task.slot}`)) lost.add(task.preempted.task)
  }
  return lost.size
}

/** The service has one less to spare. */
export function spend(ground: Ground, name: ServiceName): void {
  const budget = budgetOf(ground, name)
  if (budget === Number.POSITIVE_INFINITY) return
  ground.cache.budgets.set(name, Math.max(0, budget - 1))
  ground.budgetsRevision += 1
}

// ---------------------------------------------------------------- who is on a node

/** All that may be victims of somebody, by kind. */
export function residentsOf(ground: Ground, node: NodeName): Resident[] {
  const known = ground.cache.residents.get(node)
  if (known) return known
  const byKind = new Map<string, Resident>()
  for (const task of ground.world.tasksByNode.get(node) ?? []) {
    ground.cost.tasks += 1
    addResident(ground, byKind, task)
  }
  const residents = [...byKind.values()]
  for (const { tasks } of residents) tasks.sort((a, b) => lostMs(a, ground.now) - lostMs(b, ground.now) || byId(a, b))
  ground.cache.residents.set(node, residents)
  return residents
}

function addResident(ground: Ground, byKind: Map<string, Resident>, task: Task): void {
  if (!mayBeVictim(ground, Number.POSITIVE_INFINITY, task)) return
  const service = ground.world.services.get(task.service)
  const version = service?.versions.get(task.version)
  if (!service || !version) return
  const isHomeBound = service.homes.get(task.slot) === task.node && hasNamedVolume(version.spec)
  const key = `${service.name} ${version.version} ${isHomeBound}`
  const resident = byKind.get(key)
  if (resident) resident.tasks.push(task)
  else byKind.set(key, { service, version, priority: priorityOf(service), isHomeBound, tasks: [task] })
}

/** The work that stopping it would lose, as far as time tells: since when it was up; nothing for one that never was. */
export function lostMs(task: Task, now: Instant): number {
  return task.firstUpAt === null ? 0 : Math.max(0, now - task.firstUpAt)
}

function byId(a: Task, b: Task): number {
  return a.id < b.id ? -1 : 1
}

export function versionOf(world: World, task: Task): ServiceVersion | null {
  return world.services.get(task.service)?.versions.get(task.version) ?? null
}
