/** What a target's answer means for the lines that it was sent, and how long is waited before it is tried again. */

/**
 * `taken`; `smaller`: it takes them in smaller pieces; `never`: it will not take these lines however often they come; `later`: all
 * else, such as a wrong token, since what an operator can mend must not cost lines.
 */
export type Verdict = 'taken' | 'smaller' | 'never' | 'later'

/** https://opentelemetry.io/docs/specs/otlp/#failures; of 5xx Berth tries all again, not the three named there alone. */
export function verdictOf(status: number): Verdict {
  if (status >= 200 && status < 300) return 'taken'
  if (status === 413) return 'smaller'
  return status === 400 || status === 422 ? 'never' : 'later'
}

const RETRY_AFTER_MS_MAX = 10 * 60_000

/** Of a `Retry-After`: seconds, or a date (RFC 9110, 10.2.3). What is neither asks for nothing. */
export function retryAfterMs(text: string | undefined, now: number): number {
  if (text === undefined) return 0
  const ms = /^\d{1,9}$/.test(text) ? Number(text) * 1000 : Date.parse(text) - now
  return Number.isFinite(ms) ? Math.min(Math.max(0, ms), RETRY_AFTER_MS_MAX) : 0
}

const WAIT_MS = 1_000
export const WAIT_MS_MAX = 60_000

/**
 * After so many failures in a row, at least one. Between half of it and all, by `chance` (0 to 1), so that those who failed together do not
 * come back together; never earlier than the target asked for.
 */
export function waitMs(failures: number, askedMs: number, chance: number): number {
  const whole = Math.min(WAIT_MS * 2 ** Math.min(failures - 1, 16), WAIT_MS_MAX)
  return Math.max(askedMs, whole * (0.5 + chance / 2))
}
