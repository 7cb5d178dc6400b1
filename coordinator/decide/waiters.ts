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

export type LongWait = { task: TaskId; tasks: number }

/** Of each service of those that are held whose wait has become long and was not told: the one to tell it by, and how many wait. */
export function longWaitsOf(
  beat: Beat,
  held: readonly { task: TaskId; service: { name: ServiceName } }[],
): Map<TaskId, LongWait> {
  const byService = new Map<ServiceName, { oldest: Task; tasks: number; isTold: boolean }>()
  for (const { task: id, service } of held) {
    const task = beat.world.tasks.get(id)
    if (!task) continue
    const known = byService.get(service.name) ?? { oldest: task, tasks: 0, isTold: false }
    const oldest = task.createdAt < known.oldest.createdAt ? task : known.oldest
    byService.set(service.name, { oldest, tasks: known.tasks + 1, isTold: known.isTold || task.waitTold })
  }
  const long = new Map<TaskId, LongWait>()
  for (const { oldest, tasks, isTold } of byService.values()) {
    if (!isTold && oldest.createdAt + LONG_WAIT_MS <= beat.now) long.set(oldest.id, { task: oldest.id, tasks })
  }
  return long
}
