/** Timers that end together. */
const TIMER_MS_MAX = 2 ** 31 - 1

export class Timers {
  readonly #timers = new Set<NodeJS.Timeout>()

  /** Longer than 24 days is 24 days. */
  after(ms: number, then: () => void): void {
    const timer = setTimeout(
      () => {
        this.#timers.delete(timer)
        then()
      },
      Math.min(ms, TIMER_MS_MAX),
    )
    this.#timers.add(timer)
  }

  every(ms: number, then: () => void): void {
    this.#timers.add(setInterval(then, ms))
  }

  end(): void {
    for (const timer of this.#timers) clearTimeout(timer)
    this.#timers.clear()
  }
}
