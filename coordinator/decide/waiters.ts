/** Tasks that wait for room, and what time alone brings about for them. */
import type { Instant } from '../../shared/clock.ts'
import type { ServiceName, Task, TaskId, World } from '../world.ts'
import { type Beat, wakeBy } from './beat.ts'
import { overdueAt } from './preempt/overdue.ts'

/** After so long it is said, once for each service at a time, that its tasks wait and why nobody makes room. */
export const LONG_WAIT_MS = 5 * 60_000

/** Services to be looked at because a wait has become long, or because somebody's room is not left in time. */
export function servicesDue(beat: Beat): Set<ServiceName> {
  const { world, now } = beat
  const due = new Set<ServiceName>()
  const oldest = new Map<ServiceName, Task>()
  const told = new Set<ServiceName>()
  for (const task of world.tasksWaiting) {
    const known = oldest.get(task.service)
    if (!known || task.createdAt < known.createdAt) oldest.set(task.service, task)
    if (task.waitTold) told.add(task.service)
    if (task.nomination && isOverdueFor(beat, task.nomination.node)) due.add(task.service)
  }
  for (const [service, { createdAt }] of oldest) {
    if (told.has(service)) continue
    const longAt = createdAt + LONG_WAIT_MS
    if (longAt <= now) due.add(service)
    else wakeBy(beat, longAt)
  }
  return due
}

/** Whether a task that should have left the node by now has not; asks to be woken when the next one should have. */
function isOverdueFor(beat: Beat, node: string): boolean {
  let isLate = false
  for (const task of beat.world.tasksByNode.get(node) ?? []) {
    const at = overdueAtOf(beat.world, task)
    if (at === null) continue
    if (at <= beat.now) isLate = true
    else wakeBy(beat, at)
  }
  return isLate
}

function overdueAtOf(world: World, task: Task): Instant | null {
  const version = task.desired === 'stopped' && world.services.get(task.service)?.versions.get(task.version)
  return version ? overdueAt(task, version.spec) : null
}

/**
 * Of a service whose wait has become long and was not told: how many wait, and the one to tell it by. `placed` in this beat
 * wait no more: what was told of one of them is over.
 */
export function longWaitOf(
  beat: Beat,
  service: ServiceName,
  placed: ReadonlySet<TaskId>,
): { task: Task; tasks: number } | null {
  let tasks = 0
  let oldest: Task | null = null
  for (const task of beat.world.tasksByService.get(service) ?? []) {
    if (task.node !== null || task.desired !== 'running' || beat.ended.has(task.id) || placed.has(task.id)) continue
    if (task.waitTold) return null
    tasks += 1
    if (!oldest || task.createdAt < oldest.createdAt) oldest = task
  }
  return oldest && oldest.createdAt + LONG_WAIT_MS <= beat.now ? { task: oldest, tasks } : null
}
