/** So many at once, the rest in the order they came. */
export class Lane {
  private readonly width: number
  private busy = 0
  private readonly waiting: (() => void)[] = []

  constructor(width: number) {
    this.width = width
  }

  /** Runs `work` as soon as there is room. The queue is as long as there are tasks: each has one step under way at most. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.busy >= this.width) await new Promise<void>((resolve) => this.waiting.push(resolve))
    else this.busy++
    try {
      return await work()
    } finally {
      const next = this.waiting.shift()
      if (next) next()
      else this.busy--
    }
  }
}
