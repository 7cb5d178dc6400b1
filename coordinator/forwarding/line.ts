/** A line on its way out, and what formats have in common. */
import type { LogLevel } from '../logs/log-level.ts'

/** Of all lines of one container. */
export type Origin = { service: string; stack: string; node: string; task: string; container: string }

export type ForwardLine = {
  origin: Origin
  /** Epoch ms, as fine as `LogLine` has it. */
  at: number
  source: 'stdout' | 'stderr'
  /** What the line itself says; null: nothing. */
  level: LogLevel | null
  text: string
}

/** Epoch nanoseconds, which no number of JavaScript holds, in digits. */
export function nanoseconds(atMs: number): string {
  const whole = Math.floor(atMs)
  return `${whole}${String(Math.floor((atMs - whole) * 1e6)).padStart(6, '0')}`
}

/** In pieces of at most `bytesMax` bytes of UTF-8, none of which ends within a character. */
export function textParts(text: string, bytesMax: number): string[] {
  // A UTF-16 unit is at most three bytes.
  if (text.length * 3 <= bytesMax) return [text]
  const bytes = Buffer.from(text)
  if (bytes.length <= bytesMax) return [text]
  const parts: string[] = []
  for (let at = 0; at < bytes.length; ) {
    let end = Math.min(at + bytesMax, bytes.length)
    // Bytes 10xxxxxx go on with a character.
    while (end < bytes.length && (bytes[end]! & 0xc0) === 0x80) end -= 1
    parts.push(bytes.toString('utf8', at, end))
    at = end
  }
  return parts
}
