/** How long a task that ended waits before its next attempt, and when to give up. */
import type { RestartPolicy } from '../../shared/spec.ts'

export const BACK_OFF_FIRST_MS = 1_000
export const BACK_OFF_MAX_MS = 60_000
/**
 * A container that lived less than this died young, whatever window its spec names: with a window of zero a container that
 * exits at once would otherwise be restarted as fast as the Engine can.
 */
export const YOUNG_MS = 10_000

/** After the n-th failure in a row: delay, delay + 1 s, delay + 2 s, delay + 4 s … at most 60 s (or the delay, when it is longer). */
export function restartDelayMs(failures: number, policy: RestartPolicy): number {
  if (failures <= 1) return policy.delayMs
  // Beyond 2^16 the bound has long been reached; the exponent is bounded so that it stays a number.
  const backOffMs = BACK_OFF_FIRST_MS * 2 ** Math.min(failures - 2, 16)
  return Math.max(policy.delayMs, Math.min(policy.delayMs + backOffMs, BACK_OFF_MAX_MS))
}

export function restartDelayMaxMs(policy: RestartPolicy): number {
  return Math.max(policy.delayMs, BACK_OFF_MAX_MS)
}

export function diedYoung(livedMs: number, policy: RestartPolicy): boolean {
  return livedMs < Math.max(policy.windowMs, YOUNG_MS)
}

/** `maxAttempts` counts restarts: with 3 of them a task is started at most four times in a row. */
export function hasGivenUp(failures: number, policy: RestartPolicy): boolean {
  return policy.maxAttempts !== undefined && failures > policy.maxAttempts
}

/** Whether the policy's condition asks for a restart after this exit. */
export function wantsRestart(exitCode: number | null, policy: RestartPolicy): boolean {
  if (policy.condition === 'none') return false
  return policy.condition === 'any' || exitCode !== 0
}
