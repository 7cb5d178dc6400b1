/**
 * Lines that were thrown away before an agent could read them, told with the time that they are of: exactly between the last line
 * that is kept and the first one after. The first gaps of a container in a minute are told at once, more of them together after it.
 */

/** `from`: of the last line kept before it; null: there is none. `to`: of the first one after. Epoch ms. */
export type LogGap = { container: string; task: string; name: string; node: string; from: number | null; to: number }

type Minute = { told: number; rest: LogGap | null; places: number }

const MINUTE_MS = 60_000
const AT_ONCE_MAX = 20
/** More containers with gaps in a minute are counted only. */
const CONTAINERS_MAX = 1_000

const WHY = 'the Engine emptied or threw away its log files before they could be read'
const ADVICE = 'larger max-size or max-file of its log help'

export class LogGaps {
  readonly #tell: (gap: LogGap, message: string) => void
  readonly #minutes = new Map<string, Minute>()

  constructor(tell: (gap: LogGap, message: string) => void) {
    this.#tell = tell
  }

  add(gap: LogGap): void {
    const minute = this.#minuteOf(gap.container)
    if (minute === null) return
    if (minute.told < AT_ONCE_MAX) {
      minute.told += 1
      this.#tell(gap, textOf(gap, 1))
    } else {
      minute.rest = { ...gap, from: minute.rest === null ? gap.from : minute.rest.from }
      minute.places += 1
    }
  }

  #minuteOf(container: string): Minute | null {
    const known = this.#minutes.get(container)
    if (known !== undefined) return known
    if (this.#minutes.size >= CONTAINERS_MAX) return null
    setTimeout(() => this.#end(container), MINUTE_MS).unref()
    const minute = { told: 0, rest: null, places: 0 }
    this.#minutes.set(container, minute)
    return minute
  }

  #end(container: string): void {
    const minute = this.#minutes.get(container)
    this.#minutes.delete(container)
    if (minute?.rest) this.#tell(minute.rest, textOf(minute.rest, minute.places))
  }
}

function textOf({ name, from, to }: LogGap, places: number): string {
  const where = places === 1 ? '' : ` in ${places} places`
  const when = from === null ? `before ${timeOf(to)}` : `between ${timeOf(from)} and ${timeOf(to)}`
  return `lines of ${name}${where} ${when} may be missing: ${WHY}; ${ADVICE}`
}

const timeOf = (ms: number) => new Date(ms).toISOString()
