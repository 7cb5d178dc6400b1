/** Whether the coordinator is still there: pings when it is quiet, and gives it up when it does not answer. Times are monotonic. */

import type { Clock } from '../../shared/clock.ts'

export type PeerWatchNeeds = {
  clock: Pick<Clock, 'monotonicMs' | 'soon'>
  ping(): void
  /** A ping was not answered for so long. */
  silenceMs: number
  silent(why: string): void
}

export class PeerWatch {
  readonly #needs: PeerWatchNeeds
  #heardAt: number
  /** Of the ping that has not been answered. */
  #pingSentAt: number | null = null

  constructor(needs: PeerWatchNeeds) {
    this.#needs = needs
    this.#heardAt = needs.clock.monotonicMs()
  }

  /** Anything at all. */
  heard(): void {
    this.#heardAt = this.#needs.clock.monotonicMs()
    this.#pingSentAt = null
  }

  /** Pings when nothing was heard for `quietMs`. */
  look(quietMs: number): void {
    const now = this.#needs.clock.monotonicMs()
    if (this.#pingSentAt === null) {
      if (now - this.#heardAt < quietMs) return
      this.#pingSentAt = now
      this.#needs.ping()
    } else if (now - this.#pingSentAt > this.#needs.silenceMs) {
      // After a stall of this process the answer may lie in the socket, unread: read first, then judge.
      this.#needs.clock.soon(() => {
        if (this.#pingSentAt === null) return
        this.#needs.silent(`the coordinator has been silent for ${((now - this.#heardAt) / 1000).toFixed(1)} s`)
      })
    }
  }
}
