/**
 * Virtual time: one thread, one order of events. Whatever is to happen stands in a heap by its moment; between two events
 * every promise that can go on has gone on, so a run depends on nothing but what was put in.
 */
export type Entry = { readonly at: number; readonly order: number; run: (() => void) | null }

/** Node's own way to let promises go on from ordinary code: what it does itself after each callback. */
const letPromisesGoOn = (process as unknown as { _tickCallback(): void })._tickCallback

/** Cancelled entries are cleared away when they are this many and the greater part. */
const CANCELLED_KEPT = 10_000

export class Timeline {
  /** Milliseconds since the beginning, with fractions. */
  now = 0
  events = 0
  /** Of the order and moments of all events; equal runs have equal ones. */
  hash = 0x811c9dc5
  private heap: Entry[] = []
  private order = 0
  private cancelled = 0

  /** Never in the past. */
  at(moment: number, run: () => void): Entry {
    const entry: Entry = { at: Math.max(this.now, moment), order: this.order++, run }
    this.heap.push(entry)
    this.siftUp(this.heap.length - 1)
    return entry
  }

  after(ms: number, run: () => void): Entry {
    return this.at(this.now + Math.max(0, ms), run)
  }

  cancel(entry: Entry): void {
    if (entry.run === null) return
    entry.run = null
    this.cancelled++
    if (this.cancelled > CANCELLED_KEPT && this.cancelled > this.heap.length / 2) this.clearAway()
  }

  /** Folds something that happened into the hash. */
  note(what: number): void {
    this.hash = Math.imul(this.hash ^ what, 0x01000193) >>> 0
  }

  /** Runs all events up to the moment; `afterEach` may throw to end the run. Resolves with time standing there. */
  runUntil(moment: number, afterEach: () => void = () => {}): Promise<void> {
    // Promises go on between events only when none of them is what called us.
    return new Promise((resolve, reject) => {
      setImmediate(() => {
        try {
          for (let next = this.heap[0]; next !== undefined && next.at <= moment; next = this.heap[0]) {
            this.takeFirst()
            const { run } = next
            if (run === null) {
              this.cancelled--
              continue
            }
            next.run = null
            this.now = next.at
            this.events++
            this.note((this.now * 1024) | 0)
            run()
            letPromisesGoOn()
            afterEach()
          }
          this.now = Math.max(this.now, moment)
          resolve()
        } catch (error) {
          reject(error)
        }
      })
    })
  }

  private clearAway(): void {
    this.heap = this.heap.filter((entry) => entry.run !== null)
    this.cancelled = 0
    this.heap.sort((a, b) => a.at - b.at || a.order - b.order)
  }

  private siftUp(index: number): void {
    const { heap } = this
    const entry = heap[index]!
    while (index > 0) {
      const parent = (index - 1) >> 1
      if (!isBefore(entry, heap[parent]!)) break
      heap[index] = heap[parent]!
      index = parent
    }
    heap[index] = entry
  }

  private takeFirst(): void {
    const { heap } = this
    const last = heap.pop()!
    if (heap.length === 0) return
    let index = 0
    for (;;) {
      let child = 2 * index + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++
      if (!isBefore(heap[child]!, last)) break
      heap[index] = heap[child]!
      index = child
    }
    heap[index] = last
  }
}

function isBefore(a: Entry, b: Entry): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order)
}
