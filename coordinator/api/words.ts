/** Small renderings that several views share. */
import type { Instant } from '../../shared/clock.ts'

export function isoTime(at: Instant): string {
  return new Date(at).toISOString()
}

/** `4 min`, `35 s`: rough, for sentences. */
export function roughDuration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000))
  if (seconds < 120) return `${seconds} s`
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`
  if (seconds < 172_800) return `${Math.round(seconds / 3600)} h`
  return `${Math.round(seconds / 86_400)} d`
}
