/**
 * Waiting as a program would that is told rather than asks: Berth's live events, Swarm's start events at each Engine. Asking
 * every 10 ms would take a good part of the two cores on which the containers are to start.
 */
import { setTimeout as sleep } from 'node:timers/promises'

/** Ids that have been told so far, each once, and whoever waits for a number of them. */
export class Told {
  readonly #ids = new Set<string>()
  readonly #limitMs: number
  #wanted = Number.POSITIVE_INFINITY
  #reached = Promise.withResolvers<void>()

  constructor(limitMs: number) {
    this.#limitMs = limitMs
    // Nobody may be waiting when the stream ends.
    this.#reached.promise.catch(() => {})
  }

  add(id: string): void {
    this.#ids.add(id)
    if (this.#ids.size >= this.#wanted) this.#reached.resolve()
  }

  /** @throws Error when the stream ended, or the limit is reached */
  async reaches(count: number): Promise<void> {
    this.#wanted = count
    if (this.#ids.size >= count) return
    const limit = new AbortController()
    const late = sleep(this.#limitMs, null, { signal: limit.signal }).then(() => {
      throw new Error(`${this.#ids.size} of ${count} told within ${this.#limitMs} ms`)
    })
    late.catch(() => {})
    await Promise.race([this.#reached.promise, late]).finally(() => limit.abort())
  }

  fail(error: Error): void {
    this.#reached.reject(error)
  }
}

export type Watch = {
  /** Resolves once so many different ones have been told since the watch began. */
  reaches(count: number): Promise<void>
  close(): void
}
