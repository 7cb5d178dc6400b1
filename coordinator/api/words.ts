/** Small renderings that several views share. */
import type { Instant } from '../../shared/clock.ts'

/** As `Date` writes it. A fleet's status has ten thousand times, most of them of the same few seconds. */
export function isoTime(at: Instant): string {
  const ms = Math.trunc(at)
  const second = Math.floor(ms / 1000)
  if (second !== written.second) written = { second, text: new Date(second * 1000).toISOString().slice(0, -4) }
  return `${written.text}${String(ms - second * 1000).padStart(3, '0')}Z`
}

/** The last one, up to its point. */
let written = { second: 0, text: '1970-01-01T00:00:00.' }

/** `4 min`, `35 s`: rough, for sentences. */
export function roughDuration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000))
  if (seconds < 120) return `${seconds} s`
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`
  if (seconds < 172_800) return `${Math.round(seconds / 3600)} h`
  return `${Math.round(seconds / 86_400)} d`
}
