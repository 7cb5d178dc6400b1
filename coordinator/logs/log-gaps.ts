/**
 * Lines that were thrown away before an agent could read them, told with the time that they are of: exactly between the last line
 * that is kept and the first one after. The first gaps of a container in a minute are told at once, more of them together after it; that
 * there are such is told at once, too, as who would tell them may be killed before.
 */

/** `from`: of the last line kept before it; null: there is none. `to`: of the first one after. Epoch ms. */
export type LogGap = { container: string; task: string; name: string; node: string; from: number | null; to: number }

type Minute = { endsAt: number; told: number; rest: LogGap | null; places: number }

const MINUTE_MS = 60_000
const AT_ONCE_MAX = 20
/** More containers with gaps in a minute are counted only. */
const CONTAINERS_MAX = 1_000

const WHY = 'the Engine emptied or threw away its log files before they could be read'
const ADVICE = 'larger max-size or max-file of its log help'

export class LogGaps {
  readonly #tell: (gap: LogGap, message: string) => void
  readonly #now: () => number
  readonly #minutes = new Map<string, Minute>()

  constructor(tell: (gap: LogGap, message: string) => void, now: () => number) {
    this.#tell = tell
    this.#now = now
  }

  add(gap: LogGap): void {
    const minute = this.#minuteOf(gap.container)
    if (minute === null) return
    if (minute.told < AT_ONCE_MAX) {
      minute.told += 1
      this.#tell(gap, textOf(gap, ''))
      return
    }
    const { rest, endsAt } = minute
    if (rest === null) this.#tell(gap, textOf({ ...gap, to: Math.max(gap.to, endsAt) }, ' in further places'))
    minute.rest = { ...gap, from: rest === null ? gap.from : rest.from }
    minute.places += 1
  }

  #minuteOf(container: string): Minute | null {
    const known = this.#minutes.get(container)
    if (known !== undefined) return known
    if (this.#minutes.size >= CONTAINERS_MAX) return null
    setTimeout(() => this.#end(container), MINUTE_MS).unref()
    const minute = { endsAt: this.#now() + MINUTE_MS, told: 0, rest: null, places: 0 }
    this.#minutes.set(container, minute)
    return minute
  }

  #end(container: string): void {
    const minute = this.#minutes.get(container)
    this.#minutes.delete(container)
    if (minute?.rest) this.#tell(minute.rest, textOf(minute.rest, ` in ${minute.places} places`))
  }
}

function textOf({ name, from, to }: LogGap, where: string): string {
  const when = from === null ? `before ${timeOf(to)}` : `between ${timeOf(from)} and ${timeOf(to)}`
  return `lines of ${name}${where} ${when} may be missing: ${WHY}; ${ADVICE}`
}

const timeOf = (ms: number) => new Date(ms).toISOString()
