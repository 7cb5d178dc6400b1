/** Which of the lines a reader wants: by time, by a pattern, by level, with those around them. */
import type { LogLine } from '../../shared/wire/up.ts'
import { isAtLeast, type LogLevel, levelOf } from './log-level.ts'

export type LineFilter = {
  since?: number
  until?: number
  level?: LogLevel
  /** Lines before and after each that is found. */
  context?: number
}

/** `found`: of each line, whether the pattern is in it; null: there is no pattern. Keeps what is around from call to call. */
export class LineSieve {
  readonly #filter: LineFilter
  readonly #around = new Map<string, { before: LogLine[]; after: number }>()

  constructor(filter: LineFilter) {
    this.#filter = filter
  }

  sieve(lines: LogLine[], found: boolean[] | null): LogLine[] {
    const { since = 0, until = Number.POSITIVE_INFINITY, level, context = 0 } = this.#filter
    const wanted: LogLine[] = []
    for (const [index, line] of lines.entries()) {
      if (line.at < since || line.at > until) continue
      const isFound = (found === null || found[index]!) && (level === undefined || isAtLeast(levelOf(line.text), level))
      if (context === 0) {
        if (isFound) wanted.push(line)
        continue
      }
      this.#withContext(line, isFound, context, wanted)
    }
    return wanted
  }

  #withContext(line: LogLine, isFound: boolean, context: number, wanted: LogLine[]): void {
    const around = this.#around.get(line.task) ?? { before: [], after: 0 }
    this.#around.set(line.task, around)
    if (isFound) {
      wanted.push(...around.before, line)
      around.before = []
      around.after = context
    } else if (around.after > 0) {
      wanted.push(line)
      around.after -= 1
    } else {
      around.before.push(line)
      if (around.before.length > context) around.before.shift()
    }
  }
}
