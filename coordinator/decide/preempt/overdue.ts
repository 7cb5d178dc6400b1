/**
 * A task that was told to stop has its grace, which may be minutes, and is then killed. One that is still there long after
 * (an Engine that hangs on it) is waited for no longer: whoever was to have its room looks elsewhere.
 */
import type { Instant } from '../../../shared/clock.ts'
import type { ServiceSpec } from '../../../shared/spec.ts'
import type { Task } from '../../world.ts'

/** Beyond its grace; killing and removing a container takes seconds at most. */
const OVERDUE_MS = 30_000

/** From when on; null: its agent has not begun to stop it, which may be a matter of the connection. */
export function overdueAt({ desired, observed }: Task, spec: ServiceSpec): Instant | null {
  if (desired !== 'stopped' || observed.state !== 'stopping') return null
  return observed.since + spec.task.container.stopGraceMs + OVERDUE_MS
}

export function isOverdue(task: Task, spec: ServiceSpec, now: Instant): boolean {
  const at = overdueAt(task, spec)
  return at !== null && at <= now
}
