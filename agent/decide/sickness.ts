/**
 * What an unhealthy container comes to, whoever tests it (its healthcheck or the agent's probes): it is told, stopped after its
 * back-off and started again in place, as one that ended by a failure. Recovers it meanwhile, nothing happens.
 */
import type { Instant } from '../../shared/clock.ts'
import type { RestartPolicy } from '../../shared/spec.ts'
import { BACK_OFF_FIRST_MS, diedYoung, restartDelayMs } from './back-off.ts'
import type { Container } from './container.ts'
import type { TaskMemory } from './memory.ts'

export type Sickness = {
  /** The attempt that is unhealthy. */
  attempt: number
  /** It is stopped then, unless it is healthy before. */
  stopAt: Instant
  /** What the last test said. */
  message: string
}

/**
 * After a look at the health of what runs; idempotent. One whose policy is `none` is not started again, so it is left as it is:
 * something that runs badly may be worth more than nothing. `policy` null: nobody wants the task.
 */
export function afterHealth(
  memory: TaskMemory,
  container: Container | null,
  policy: RestartPolicy | null,
  now: Instant,
): TaskMemory {
  if (container?.state !== 'running') return memory
  const { attempt, sick } = memory
  if (container.health === 'healthy') {
    if (memory.soundAttempt === attempt && !sick) return memory
    // One that recovered by itself has not failed.
    const failures = sick?.attempt === attempt ? Math.max(0, memory.failures - 1) : memory.failures
    return { ...memory, soundAttempt: attempt, sick: null, failures }
  }
  if (container.health !== 'unhealthy' || !policy || policy.condition === 'none') return memory
  if (sick?.attempt === attempt) return memory
  const wasSound = memory.soundAttempt === attempt
  const livedMs = now - (container.startedAt ?? now)
  // One that never was healthy did not start well, however long it took to say so.
  const failures = wasSound && !diedYoung(livedMs, policy) ? 1 : memory.failures + 1
  // Never at once: that it is unhealthy is told, and kept with what it printed, before it is stopped.
  const stopAt = now + Math.max(BACK_OFF_FIRST_MS, restartDelayMs(failures, policy))
  return { ...memory, failures, sick: { attempt, stopAt, message: container.healthMessage ?? '' } }
}

/** The attempt is being ended, or has been, because it was unhealthy. */
export function isSick({ sick, attempt }: TaskMemory): boolean {
  return sick?.attempt === attempt
}
