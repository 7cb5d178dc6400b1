/**
 * Times in which the coordinator itself could not hear anybody: its process was stopped, its event loop blocked, or the clock
 * jumped. They are credited to every node for as long as that has not been heard since, not only in the first beat after: a
 * second beat may well come before the second heartbeat.
 */
import type { Instant } from '../../shared/clock.ts'

export type Stall = { endedAt: Instant; ms: number }

/** Older ones concern nobody: whoever was silent since is lost by any limit. */
const STALL_KEPT_MS = 10 * 60_000
const STALLS_MAX = 64

/** The stalls with one more; of too many the oldest go. */
export function withStall(stalls: readonly Stall[], stall: Stall): readonly Stall[] {
  const kept = stalls.filter(({ endedAt }) => endedAt > stall.endedAt - STALL_KEPT_MS)
  return [...kept.slice(1 - STALLS_MAX), stall]
}

/** How much of the time since then does not count. */
export function stalledMsSince(stalls: readonly Stall[], since: Instant): number {
  let ms = 0
  for (const stall of stalls) if (stall.endedAt > since) ms += stall.ms
  return ms
}
