/** How grave a line is, read from the line itself: the level of a JSON line, or the word that such lines begin with. */
export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

const NAMES: Record<string, LogLevel> = {
  trace: 'trace',
  verbose: 'debug',
  debug: 'debug',
  dbg: 'debug',
  info: 'info',
  information: 'info',
  notice: 'info',
  log: 'info',
  warn: 'warn',
  warning: 'warn',
  err: 'error',
  error: 'error',
  fatal: 'fatal',
  critical: 'fatal',
  crit: 'fatal',
  alert: 'fatal',
  emerg: 'fatal',
  panic: 'fatal',
}
/** Where the usual libraries put it: pino, winston, slog, zap, logback, serilog, GCP. */
const KEYS = ['level', 'severity', 'lvl', 'log.level', 'levelname', '@l', 'loglevel'] as const
/** Within so many characters a plain line says it, behind its time. */
export const LEVEL_CHARS = 80
const WORD =
  // Also right behind the sequence that colours it, which ends with a letter.
  /(?:\b|(?<=\[[\d;]{0,15}m))(trace|verbose|debug|dbg|info|notice|warn|warning|err|error|fatal|critical|crit|alert|emerg|panic)\b/i

/** Null: it does not say. */
export function levelOf(text: string): LogLevel | null {
  if (text.startsWith('{')) {
    const level = levelOfJson(text)
    if (level !== undefined) return level
  }
  return levelInWords(text.slice(0, LEVEL_CHARS))?.level ?? null
}

/** Of a plain line, of which these are the first LEVEL_CHARS: its level, and up to where it was read to know it. */
export function levelInWords(head: string): { level: LogLevel; end: number } | null {
  const found = WORD.exec(head)
  const level = NAMES[found?.[1]?.toLowerCase() ?? '']
  // With what is behind the word, which ends it.
  return found === null || level === undefined ? null : { level, end: found.index + found[0].length + 1 }
}

export function isAtLeast(level: LogLevel | null, least: LogLevel): boolean {
  return level !== null && LOG_LEVELS.indexOf(level) >= LOG_LEVELS.indexOf(least)
}

/** Undefined: it is no JSON object. */
function levelOfJson(text: string): LogLevel | null | undefined {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
  const fields = value as Record<string, unknown>
  for (const key of KEYS) {
    const level = fields[key]
    if (typeof level === 'string') return NAMES[level.toLowerCase()] ?? null
    // pino: 10 trace, 20 debug, 30 info, 40 warn, 50 error, 60 fatal.
    if (typeof level === 'number') return LOG_LEVELS[Math.min(5, Math.max(0, Math.floor(level / 10) - 1))] ?? null
  }
  return null
}
