/** Which of the lines a reader wants: by time, by a pattern, by level, by fields, with those around them. */
import type { FieldTest } from '../../shared/log-field.ts'
import type { LogLine } from '../../shared/wire/up.ts'
import { fieldsOf, meetsField } from './log-fields.ts'
import { isAtLeast, type LogLevel, levelOf } from './log-level.ts'

export type LineFilter = {
  since?: number
  until?: number
  level?: LogLevel
  /** Only JSON lines whose fields meet all of these. */
  fields?: readonly FieldTest[]
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
    const { since = 0, until = Number.POSITIVE_INFINITY, context = 0 } = this.#filter
    const wanted: LogLine[] = []
    for (const [index, line] of lines.entries()) {
      if (line.at < since || line.at > until) continue
      const isFound = (found === null || found[index]!) && this.#isWanted(line.text)
      if (context === 0) {
        if (isFound) wanted.push(line)
        continue
      }
      this.#withContext(line, isFound, context, wanted)
    }
    return wanted
  }

  #isWanted(text: string): boolean {
    const { level, fields: tests } = this.#filter
    if (level !== undefined && !isAtLeast(levelOf(text), level)) return false
    if (tests === undefined) return true
    const fields = fieldsOf(text)
    return fields !== null && tests.every((test) => meetsField(fields, test))
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
