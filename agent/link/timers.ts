/** Timers that end together. */
import type { Clock, Timer } from '../../shared/clock.ts'

const TIMER_MS_MAX = 2 ** 31 - 1

export class Timers {
  readonly #clock: Clock
  readonly #timers = new Set<Timer>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Longer than 24 days is 24 days. */
  after(ms: number, then: () => void): void {
    const timer = this.#clock.after(Math.min(ms, TIMER_MS_MAX), () => {
      this.#timers.delete(timer)
      then()
    })
    this.#timers.add(timer)
  }

  every(ms: number, then: () => void): void {
    this.#timers.add(this.#clock.every(ms, then))
  }

  end(): void {
    for (const timer of this.#timers) timer.stop()
    this.#timers.clear()
  }
}
