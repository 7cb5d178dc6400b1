/** Counts failed attempts by address, so that guessing costs its author more than it costs us. */
import type { Instant } from '../../shared/clock.ts'

export const FAILURES_MAX = 20
export const FAILURE_WINDOW_MS = 60_000
/** Above this the address that failed longest ago is forgotten. */
export const FAILURE_ADDRESSES_MAX = 10_000

export interface FailureLimit {
  /** How long the address has to wait; 0: it may try. */
  waitMs(address: string, now: Instant): number
  failed(address: string, now: Instant): void
}

export function createFailureLimit(): FailureLimit {
  const windows = new Map<string, { since: Instant; failures: number }>()
  return {
    waitMs(address, now) {
      const window = windows.get(address)
      if (window === undefined || window.failures < FAILURES_MAX) return 0
      return Math.max(0, window.since + FAILURE_WINDOW_MS - now)
    },
    failed(address, now) {
      const before = windows.get(address)
      const goesOn = before !== undefined && now < before.since + FAILURE_WINDOW_MS
      windows.delete(address)
      windows.set(
        address,
        goesOn ? { since: before.since, failures: before.failures + 1 } : { since: now, failures: 1 },
      )
      const oldest = windows.keys().next().value
      if (windows.size > FAILURE_ADDRESSES_MAX && oldest !== undefined) windows.delete(oldest)
    },
  }
}
