/** Sizes and durations as Compose writes them. All three answer `undefined` for what is neither. */

const BYTES = /^(\d+(?:\.\d+)?)\s*([kmgtp])?(?:i?b)?$/i
const BYTES_PER_UNIT: Record<string, number> = { k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, t: 2 ** 40, p: 2 ** 50 }

/** `512M`, `1.5g`, `64kb`, `2GiB`, `1024` → bytes, in powers of 1024 as the Engine counts them. */
export function parseBytes(text: string): number | undefined {
  const match = BYTES.exec(text.trim())
  if (!match) return undefined
  const bytes = Math.floor(Number(match[1]) * (BYTES_PER_UNIT[match[2]?.toLowerCase() ?? ''] ?? 1))
  return Number.isSafeInteger(bytes) ? bytes : undefined
}

const DURATION = /^(?:\d+(?:\.\d+)?(?:ns|us|µs|ms|s|m|h|d|w))+$/
const DURATION_PART = /(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h|d|w)/g
const MS_PER_UNIT: Record<string, number> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
}

/** `1m30s`, `500ms`, `1.5h`, `0` → whole milliseconds; what is shorter than one is rounded up, so that it does not become "none". */
export function parseDurationMs(text: string): number | undefined {
  const trimmed = text.trim()
  if (trimmed === '0') return 0
  if (!DURATION.test(trimmed)) return undefined
  let totalMs = 0
  for (const [, amount, unit] of trimmed.matchAll(DURATION_PART)) totalMs += Number(amount) * MS_PER_UNIT[unit!]!
  const wholeMs = Math.ceil(Number(totalMs.toFixed(6)))
  return Number.isSafeInteger(wholeMs) ? wholeMs : undefined
}
