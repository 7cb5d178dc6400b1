/**
 * Lines that were thrown away before an agent could read them, told with the time that they are of: exactly between the last line
 * that is kept and the first one after. The first gap of a container is told at once, others of the same minute together after it.
 */

/** `from`: of the last line kept before it; null: there is none. `to`: of the first one after. Epoch ms. */
export type LogGap = { container: string; task: string; name: string; node: string; from: number | null; to: number }

type Told = { last: LogGap; places: number; timer: NodeJS.Timeout }

const TELL_EVERY_MS = 60_000
/** More containers with gaps in a minute are counted only. */
const CONTAINERS_MAX = 1_000

const WHY = 'the Engine emptied or threw away its log files before they could be read'
const ADVICE = 'larger max-size or max-file of its log help'

export class LogGaps {
  readonly #tell: (gap: LogGap, message: string) => void
  readonly #told = new Map<string, Told>()

  constructor(tell: (gap: LogGap, message: string) => void) {
    this.#tell = tell
  }

  add(gap: LogGap): void {
    const told = this.#told.get(gap.container)
    if (told !== undefined) {
      const { last } = told
      const from = told.places === 0 ? gap.from : last.from
      told.last = { ...gap, from, to: Math.max(told.places === 0 ? gap.to : last.to, gap.to) }
      told.places += 1
    } else if (this.#told.size < CONTAINERS_MAX) {
      this.#tell(gap, textOf(gap, 1))
      this.#wait(gap)
    }
  }

  close(): void {
    for (const { timer } of this.#told.values()) clearTimeout(timer)
    this.#told.clear()
  }

  #wait(gap: LogGap): void {
    const timer = setTimeout(() => this.#tellRest(gap.container), TELL_EVERY_MS)
    timer.unref()
    this.#told.set(gap.container, { last: gap, places: 0, timer })
  }

  #tellRest(container: string): void {
    const told = this.#told.get(container)
    this.#told.delete(container)
    if (told === undefined || told.places === 0) return
    this.#tell(told.last, textOf(told.last, told.places))
    this.#wait(told.last)
  }
}

function textOf({ name, from, to }: LogGap, places: number): string {
  const where = places === 1 ? '' : ` in ${places} places`
  const when = from === null ? `before ${timeOf(to)}` : `between ${timeOf(from)} and ${timeOf(to)}`
  return `lines of ${name}${where} ${when} may be missing: ${WHY}; ${ADVICE}`
}

const timeOf = (ms: number) => new Date(ms).toISOString()
