/** Times as the Engine writes them before log lines: `2026-11-23T10:04:11.123456789Z`. */

/** Of `2026-11-23T10:04:11.123`, which is as far as a Date goes. */
const MILLISECONDS_END = 23

/**
 * Epoch ms with its fraction, as fine as a number holds it (a quarter of a microsecond): lines are told apart and kept in
 * order that share a millisecond. NaN for what is no time.
 */
export function parseLogTime(text: string): number {
  const atMs = Date.parse(text)
  if (text.charCodeAt(MILLISECONDS_END - 4) !== DOT) return atMs
  const finer = /^\d+/.exec(text.slice(MILLISECONDS_END))
  return finer === null ? atMs : atMs + Math.floor(Number(`0.${finer[0]}`) * STEPS_PER_MS) / STEPS_PER_MS
}

/** What a double has room for until the year 2039. Downwards, so that a time never leaves its millisecond. */
const STEPS_PER_MS = 4096
const DOT = '.'.charCodeAt(0)
