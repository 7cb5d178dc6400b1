/** The Engine's json-file format: one JSON object a line, long lines of the container in pieces. */

import { parseLogTime } from './log-time.ts'
import { wellFormedCut } from './text.ts'
import type { LogLine } from './wire/up.ts'

/** `text`: without the newline that ends its line, if it does. */
export type JsonLogPiece = { atMs: number; source: LogLine['source']; text: string; endsLine: boolean }

/** Null for what is not a line of this format. */
export function parseJsonLog(line: string): JsonLogPiece | null {
  return plainPiece(line) ?? parsedPiece(line)
}

const HEAD = '{"log":"'
const TAILS = { stdout: '\\n","stream":"stdout","time":"', stderr: '\\n","stream":"stderr","time":"' }
const TAIL_CHARS = TAILS.stdout.length

/** What nearly all lines are: a text in which nothing is written otherwise than it is, and a newline. A fraction of the time that JSON takes. */
function plainPiece(line: string): JsonLogPiece | null {
  const end = line.indexOf('\\', HEAD.length)
  if (end < 0 || !line.startsWith(HEAD) || !line.endsWith('"}')) return null
  const isStdout = line.startsWith(TAILS.stdout, end)
  if (!isStdout && !line.startsWith(TAILS.stderr, end)) return null
  // No quote before that one.
  if (line.indexOf('"', HEAD.length) !== end + 2) return null
  const atMs = parseLogTime(line.slice(end + TAIL_CHARS, -2))
  if (!(atMs >= 0)) return null
  return { atMs, source: isStdout ? 'stdout' : 'stderr', text: line.slice(HEAD.length, end), endsLine: true }
}

function parsedPiece(line: string): JsonLogPiece | null {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch {
    return null
  }
  if (typeof value !== 'object' || value === null) return null
  const { log, stream, time } = value as { log?: unknown; stream?: unknown; time?: unknown }
  if (typeof log !== 'string' || typeof time !== 'string') return null
  const atMs = parseLogTime(time)
  if (Number.isNaN(atMs) || atMs < 0) return null
  const endsLine = log.endsWith('\n')
  return {
    atMs,
    source: stream === 'stderr' ? 'stderr' : 'stdout',
    text: endsLine ? log.slice(0, -1) : log,
    endsLine,
  }
}

export type BegunLine = { atMs: number; text: string }

/** Longer lines of a container are given in parts of this length: a frame of many of them stays within its limit. */
export const TEXT_CHARS_MAX = 256 * 1024

/** Puts the pieces of long lines together, each source for itself. */
export class LineJoiner {
  readonly #task: string
  readonly #begun: Map<LogLine['source'], BegunLine>

  /** `begun`: what another had begun when it ended. */
  constructor(task: string, begun: readonly [LogLine['source'], BegunLine][] = []) {
    this.#task = task
    this.#begun = new Map(begun)
  }

  get begun(): [LogLine['source'], BegunLine][] {
    return [...this.#begun]
  }

  /** The line that this piece completes, or null while there is more to come. */
  add({ atMs, source, text, endsLine }: JsonLogPiece): LogLine | null {
    const begun = this.#begun.get(source)
    const whole = begun === undefined ? text : begun.text + text
    const since = begun?.atMs ?? atMs
    if (!endsLine && whole.length < TEXT_CHARS_MAX) {
      this.#begun.set(source, { atMs: since, text: whole })
      return null
    }
    this.#begun.delete(source)
    return {
      task: this.#task,
      at: since,
      source,
      text: bounded(endsLine && whole.endsWith('\r') ? whole.slice(0, -1) : whole),
    }
  }

  get isEmpty(): boolean {
    return this.#begun.size === 0
  }

  /** What was begun and will not be completed soon, such as a prompt. */
  takeBegun(): LogLine[] {
    const lines = [...this.#begun].map(([source, { atMs, text }]) => ({
      task: this.#task,
      at: atMs,
      source,
      text: bounded(text),
    }))
    this.#begun.clear()
    return lines
  }
}

/** A piece is at most 16 KiB, so only a file that others wrote makes a text longer than the bound and one piece. */
function bounded(text: string): string {
  return wellFormedCut(text, TEXT_CHARS_MAX * 2)
}
