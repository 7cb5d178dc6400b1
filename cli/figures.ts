/** Figures for people: each with its unit, none longer than it tells. */

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']

/** `512 B`, `18 MiB`, `23.5 GiB`. */
export function bytes(count: number): string {
  let value = count
  let unit = 0
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024
    unit += 1
  }
  return `${unit < 3 || value >= 100 ? Math.round(value) : trimmed(value)} ${UNITS[unit]}`
}

/** `5.1`, `24`. */
export function trimmed(value: number): string {
  return value >= 100 ? String(Math.round(value)) : String(Math.round(value * 10) / 10)
}

/** Of a CPU: `12.5`, `0.75`, `0.0013`; what is hardly anything is 0.00. */
export function cores(value: number): string {
  if (value >= 10) return trimmed(value)
  return value >= 0.1 || value < 0.00005 ? value.toFixed(2) : String(Number(value.toFixed(4)))
}

/** `35 %`; of nothing it is 0. */
export function percent(part: number, whole: number): string {
  return `${whole > 0 ? Math.round((part / whole) * 100) : 0} %`
}

/** `1.4 s`, `35 s`, `4 min`, `4 d 2 h`: the two units that matter. */
export function duration(ms: number): string {
  const seconds = Math.max(0, ms) / 1000
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`
  const whole = Math.round(seconds)
  if (whole < 120) return `${whole} s`
  if (whole < 3600) return two(whole, 60, 'min', 's')
  if (whole < 86_400) return two(Math.round(whole / 60), 60, 'h', 'min')
  return two(Math.round(whole / 3600), 24, 'd', 'h')
}

/** `3 tasks`, `1 task`. */
export function plural(count: number, word: string): string {
  return `${count} ${word}${count === 1 ? '' : 's'}`
}

/** Reads `250ms`, `30s`, `10m`, `2h`, `1d` (or plain seconds) as milliseconds; null: it is none. */
export function parseDuration(text: string): number | null {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)?$/.exec(text.trim())
  if (!match) return null
  return Number(match[1]) * (FACTORS[match[2] ?? 's'] ?? 1000)
}

/** A duration before `now`, or a time as ISO 8601 has it, as epoch ms; null: it is neither. */
export function parseMoment(text: string, now: number): number | null {
  const duration = parseDuration(text)
  if (duration !== null) return Math.max(0, now - duration)
  const at = /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text) : Number.NaN
  return at >= 0 ? at : null
}

const FACTORS: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

function two(count: number, per: number, big: string, small: string): string {
  const rest = count % per
  return rest === 0 ? `${Math.floor(count / per)} ${big}` : `${Math.floor(count / per)} ${big} ${rest} ${small}`
}
