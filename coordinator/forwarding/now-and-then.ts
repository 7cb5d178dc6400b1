/** Things of one kind that may come in any number: the first is told at once, those of the next while together. */
import type { Counted } from './kept-batches.ts'

const EVERY_MS = 10 * 60_000

export class NowAndThen {
  readonly #tell: (sum: Counted, why: string) => void
  #sum: Counted = { lines: 0, rawBytes: 0 }
  #why = ''
  #toldAt = Number.NEGATIVE_INFINITY

  constructor(tell: (sum: Counted, why: string) => void) {
    this.#tell = tell
  }

  add({ lines, rawBytes }: Counted, why: string): void {
    this.#sum = { lines: this.#sum.lines + lines, rawBytes: this.#sum.rawBytes + rawBytes }
    this.#why = why
  }

  /** Called again and again. */
  look(monotonicMs: number): void {
    if ((this.#sum.lines === 0 && this.#sum.rawBytes === 0) || monotonicMs - this.#toldAt < EVERY_MS) return
    this.#toldAt = monotonicMs
    const sum = this.#sum
    this.#sum = { lines: 0, rawBytes: 0 }
    this.#tell(sum, this.#why)
  }
}
