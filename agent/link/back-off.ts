/** How long to wait before the next attempt to connect. */

/** Full jitter: thousands of agents that lost one coordinator come back spread over the whole interval, not in waves. */
export const BACK_OFF = { firstMs: 100, maxMs: 5_000, refusedMs: 30_000 }

/**
 * @param attempt failed attempts since the link was last open; 0: it has just been lost, and the first retry is at once
 * @param chance in [0, 1)
 */
export function backOffMs(attempt: number, chance: number): number {
  if (attempt === 0) return 0
  const ceiling = Math.min(BACK_OFF.maxMs, BACK_OFF.firstMs * 2 ** Math.min(attempt - 1, 16))
  return Math.ceil(chance * ceiling)
}

/** After a refusal that waiting does not mend: somebody may mend it, so it is tried again, slowly. */
export function refusedBackOffMs(chance: number): number {
  return Math.ceil(BACK_OFF.refusedMs * (0.75 + chance / 2))
}
