/** What the head of a block says of its lines, found in one pass over their bytes. */
import { parseLogTime } from '../../shared/log-time.ts'

export type ScannedLines = { lines: number; longest: number; from: number; to: number }

const NEWLINE = 10
const QUOTE = 34
const COLON = 58
/** `…:"2026-11-23T10:04:11.123456789Z"}` */
const TIME_CHARS_MAX = 40
const USUAL_TIME_CHARS = 30
const SECOND_CHARS = 19

/** `bytes`: whole lines of the Engine's json-file format. A block without any time is of `now`. */
export function scanLines(bytes: Buffer, now: number): ScannedLines {
  let lines = 0
  let longest = 0
  let from = Number.POSITIVE_INFINITY
  let to = Number.NEGATIVE_INFINITY
  let second = -1
  let lastTime = -1
  for (let at = 0; at < bytes.length; ) {
    const found = bytes.indexOf(NEWLINE, at)
    const end = found < 0 ? bytes.length : found
    lines += 1
    if (end - at > longest) longest = end - at
    const time = timeAt(bytes, at, end)
    if (time >= 0) {
      // Lines of one second are as good as one: their times grow, unless the clock was set back.
      const now = secondOf(bytes, time)
      if (now !== second) {
        second = now
        const ms = readTime(bytes, time)
        from = Math.min(from, ms)
        to = Math.max(to, ms)
      }
      lastTime = time
    }
    at = end + 1
  }
  if (lastTime >= 0) to = Math.max(to, readTime(bytes, lastTime))
  if (!Number.isFinite(from) || !Number.isFinite(to)) return { lines, longest, from: now, to: now }
  return { lines, longest, from, to }
}

/** Where the time of a line begins; -1: nowhere. */
function timeAt(bytes: Buffer, at: number, end: number): number {
  const closing = end - 2
  if (closing <= at || bytes[closing] !== QUOTE) return -1
  // Mostly it has nine digits of a fraction: looked for at once, as an agent's code is not optimized.
  const usual = closing - USUAL_TIME_CHARS
  if (usual - 2 > at && bytes[usual - 1] === QUOTE && bytes[usual - 2] === COLON) return usual
  const first = Math.max(at, closing - TIME_CHARS_MAX)
  for (let index = closing - 1; index >= first; index--) {
    if (bytes[index] === QUOTE) return closing - index - 1 > SECOND_CHARS ? index + 1 : -1
  }
  return -1
}

/** Tells seconds of an hour apart, as digits that are not checked: the whole time is read when this differs, and of the last line. */
function secondOf(bytes: Buffer, time: number): number {
  return (bytes[time + 14]! << 24) | (bytes[time + 15]! << 16) | (bytes[time + 17]! << 8) | bytes[time + 18]!
}

function readTime(bytes: Buffer, time: number): number {
  const end = bytes.indexOf(QUOTE, time)
  const ms = parseLogTime(bytes.toString('latin1', time, end))
  return ms >= 0 ? ms : Number.NaN
}
