/**
 * How many tasks of each service there are of each kind, and what each node has promised its tasks: what a status says of a million
 * tasks without looking at them. Kept by `apply`, one look at a task before and one after a value that may change it.
 */

import { HEALTH_STATES, hasEnded, TASK_STATES } from '../../shared/task-state.ts'
import { isPast, isRefused, isWrong } from '../decide/task-facts.ts'
import type { NodeName, ServiceName, ServiceVersion, Task, TaskId, World, WorldValue } from '../world.ts'

export type Tally = {
  /** A missing key means no task. */
  services: Map<ServiceName, Map<number, Kind>>
  nodes: Map<NodeName, Promised>
  /** Those of which something is wrong (`isWrong`). */
  wrong: Set<TaskId>
}

/** Tasks of one version that count alike in all that is asked of a tally; `like` is one of them, as it was at some moment. */
export type Kind = { like: Task; count: number }

/** To tasks that are not past. Whole numbers, so that taking away what was added leaves nothing. */
export type Promised = {
  tasks: number
  running: number
  cpuMicrocores: number
  memoryBytes: number
  diskBytes: number
  /** Of these, how many need countable things, which the sums leave out. */
  withGeneric: number
  /** Of these, what has not ended. */
  going: { cpuMicrocores: number; memoryBytes: number }
}

export function tallyOf(world: World): Tally {
  const tally: Tally = { services: new Map(), nodes: new Map(), wrong: new Set() }
  for (const task of world.tasks.values()) count(world, tally, task, 1)
  return tally
}

/** The tasks that the value may change: those there are before it is applied, and by their ids those after. */
export function touchedBy(world: World, value: WorldValue): Iterable<TaskId> {
  if ('decision' in value) return 'task' in value.decision ? [value.decision.task] : NONE
  if ('change' in value || value.observation.kind !== 'tasks') return NONE
  const { node, full, tasks, gone } = value.observation
  const ids = new Set(gone)
  for (const { task } of tasks) ids.add(task)
  if (full) for (const { id } of world.tasksByNode.get(node) ?? []) ids.add(id)
  return ids
}

const NONE: readonly TaskId[] = []

/** `by`: 1 for what is there now, -1 before it changes. */
export function countAll(world: World, tally: Tally, ids: Iterable<TaskId>, by: 1 | -1): void {
  for (const id of ids) {
    const task = world.tasks.get(id)
    if (task) count(world, tally, task, by)
  }
}

function count(world: World, tally: Tally, task: Task, by: 1 | -1): void {
  countKind(tally, task, by)
  if (by === 1 && isWrong(task)) tally.wrong.add(task.id)
  else tally.wrong.delete(task.id)
  if (task.node === null || isPast(task)) return
  const version = world.services.get(task.service)?.versions.get(task.version)
  countPromised(tally, task.node, task, version, by)
}

function countKind({ services }: Tally, task: Task, by: 1 | -1): void {
  const kinds = services.get(task.service) ?? new Map<number, Kind>()
  const key = kindOf(task)
  const kind = kinds.get(key) ?? { like: { ...task }, count: 0 }
  kind.count += by
  if (kind.count === by) kinds.set(key, kind)
  if (kind.count === 0) kinds.delete(key)
  if (kinds.size === 0) services.delete(task.service)
  else if (kinds.size === 1) services.set(task.service, kinds)
}

/** A number for each combination of what counts. */
function kindOf(task: Task): number {
  const { version, desired, node, waitsFor, observed } = task
  let key = version
  key = 2 * key + (desired === 'running' ? 1 : 0)
  key = 2 * key + (node === null ? 1 : 0)
  key = 2 * key + (waitsFor.length > 0 ? 1 : 0)
  key = 2 * key + (isRefused(task) ? 1 : 0)
  key = TASK_STATES.length * key + TASK_STATES.indexOf(observed.state)
  key = HEALTH_STATES.length * key + HEALTH_STATES.indexOf(observed.health)
  return key
}

function countPromised(
  { nodes }: Tally,
  node: NodeName,
  task: Task,
  version: ServiceVersion | undefined,
  by: 1 | -1,
): void {
  const promised = nodes.get(node) ?? nothingPromised()
  promised.tasks += by
  if (task.observed.state === 'running') promised.running += by
  if (version !== undefined) {
    const { container } = version.spec.task
    const { reservation } = container.resources
    const cpuMicrocores = Math.round(reservation.cpuCores * 1e6)
    promised.cpuMicrocores += by * cpuMicrocores
    promised.memoryBytes += by * reservation.memoryBytes
    promised.diskBytes += by * (reservation.diskBytes ?? 0)
    if (reservation.generic || container.deviceRequests) promised.withGeneric += by
    if (!hasEnded(task.observed.state)) {
      promised.going.cpuMicrocores += by * cpuMicrocores
      promised.going.memoryBytes += by * reservation.memoryBytes
    }
  }
  if (promised.tasks === 0) nodes.delete(node)
  else if (promised.tasks === by) nodes.set(node, promised)
}

export function nothingPromised(): Promised {
  const going = { cpuMicrocores: 0, memoryBytes: 0 }
  return { tasks: 0, running: 0, cpuMicrocores: 0, memoryBytes: 0, diskBytes: 0, withGeneric: 0, going }
}
