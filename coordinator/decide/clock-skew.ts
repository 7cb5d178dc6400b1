/** How far a host's clock is from ours: told by its hello, and by its heartbeats when the clock has been set since. Pure. */
import type { Instant } from '../../shared/clock.ts'

/** Less than this is the network's, or a moment in which we did not listen. */
const CLOCK_JUMP_MS = 30_000
/** The latest that a date can hold. */
export const TIME_MAX = 8.64e15

/** Theirs minus ours. */
export function clockSkew(theirs: Instant, ours: Instant): number {
  return Math.min(theirs, TIME_MAX) - ours
}

/** Null: the clock goes on as it is known to. */
export function clockJump(knownMs: number, theirs: Instant | undefined, ours: Instant): { skewMs: number } | null {
  if (theirs === undefined) return null
  const skewMs = clockSkew(theirs, ours)
  return Math.abs(skewMs - knownMs) < CLOCK_JUMP_MS ? null : { skewMs }
}
