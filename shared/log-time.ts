/** Times as the Engine writes them before log lines: `2026-11-23T10:04:11.123456789Z`. */

/**
 * Epoch ms with its fraction, as fine as a number holds it (a quarter of a microsecond): lines are told apart and kept in
 * order that share a millisecond. NaN for what is no time.
 */
export function parseLogTime(text: string): number {
  const nanoseconds = fractionOf(text)
  if (nanoseconds === null) return parseAnyTime(text)
  if (!text.startsWith(lastSecond)) {
    const second = text.slice(0, SECOND_CHARS)
    const ms = Date.parse(`${second}Z`)
    if (Number.isNaN(ms)) return parseAnyTime(text)
    lastSecond = second
    lastSecondMs = ms
  }
  const ms = Math.floor(nanoseconds / 1e6)
  return lastSecondMs + ms + Math.floor(((nanoseconds - ms * 1e6) / 1e6) * STEPS_PER_MS) / STEPS_PER_MS
}

/** What a double has room for until the year 2039. Downwards, so that a time never leaves its millisecond. */
const STEPS_PER_MS = 4096
/** Of `2026-11-23T10:04:11.123`, which is as far as a Date goes. */
const MILLISECONDS_END = 23
const SECOND_CHARS = 19
const DIGITS_MAX = 9
const DOT = 46
const ZERO = 48
const NINE = 57
const TEE = 84
const ZED = 90

/** The last second that was asked for: lines mostly come many to a second. */
let lastSecond = 'none'
let lastSecondMs = 0

/** Nanoseconds within the second, of a time as the Engine writes it; null: it is another text. */
function fractionOf(text: string): number | null {
  const end = text.length - 1
  if (end <= SECOND_CHARS + 1 || end > SECOND_CHARS + 1 + DIGITS_MAX) return null
  if (text.charCodeAt(end) !== ZED || text.charCodeAt(SECOND_CHARS) !== DOT || text.charCodeAt(10) !== TEE) return null
  // A day has an hour 24 only as its very end.
  if (text.startsWith('24', 11)) return null
  let nanoseconds = 0
  for (let at = SECOND_CHARS + 1; at < SECOND_CHARS + 1 + DIGITS_MAX; at++) {
    const digit = at < end ? text.charCodeAt(at) : ZERO
    if (digit < ZERO || digit > NINE) return null
    nanoseconds = nanoseconds * 10 + digit - ZERO
  }
  return nanoseconds
}

function parseAnyTime(text: string): number {
  const atMs = Date.parse(text)
  if (text.charCodeAt(MILLISECONDS_END - 4) !== DOT) return atMs
  const finer = /^\d+/.exec(text.slice(MILLISECONDS_END))
  return finer === null ? atMs : atMs + Math.floor(Number(`0.${finer[0]}`) * STEPS_PER_MS) / STEPS_PER_MS
}
