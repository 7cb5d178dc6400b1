/**
 * One process from its start to its end. All that it does to the world outside goes through here, so it can be killed before
 * any single write or message, and be stopped for a while: what it still computes afterwards reaches nobody.
 */
import type { Clock, Timer } from '../../shared/clock.ts'
import type { Entry, Timeline } from './timeline.ts'

/** A host's clock: what it adds to the true time. It may be set. */
export type WallClock = { offsetMs: number }

/** Timers of a busy host are late by up to this. */
const LATE_MS_MAX = 1.5

export class Life implements Clock {
  isAlive = true
  readonly name: string
  readonly timeline: Timeline
  private readonly wall: WallClock
  private readonly chance: () => number
  private readonly ended: (() => void)[] = []
  private stalledUntil = 0
  /** So many things it may still do outside; null: no end is set. */
  private fuse: { left: number; then: () => void } | null = null

  constructor(name: string, timeline: Timeline, wall: WallClock, chance: () => number) {
    this.name = name
    this.timeline = timeline
    this.wall = wall
    this.chance = chance
  }

  // ------------------------------------------------------------------ ends and stops

  /** Dead at once: nothing it does from here on has any effect. */
  kill(): void {
    if (!this.isAlive) return
    this.isAlive = false
    for (const tell of this.ended.splice(0)) tell()
  }

  onEnd(tell: () => void): void {
    this.ended.push(tell)
  }

  /** `then` is called, and should kill it, when it is about to do its `count`-th thing outside from now on. */
  endAfter(count: number, then: () => void): void {
    this.fuse = { left: count, then }
  }

  /** The end that was set does not come. */
  spare(): void {
    this.fuse = null
  }

  /** As by SIGSTOP: its timers and what comes in wait. */
  stall(ms: number): void {
    this.stalledUntil = Math.max(this.stalledUntil, this.timeline.now + ms)
  }

  get isStalled(): boolean {
    return this.timeline.now < this.stalledUntil
  }

  /** Asked before each thing that it does to the world outside: false when it does not come to that any more. */
  may(): boolean {
    if (this.isAlive && this.fuse !== null && this.fuse.left-- <= 0) {
      const { then } = this.fuse
      this.fuse = null
      then()
    }
    return this.isAlive
  }

  /** Something comes in: now, or when it is no longer stopped; never once it is dead. */
  take(moment: number, run: () => void): Entry {
    const arrive = () => {
      if (!this.isAlive) return
      if (this.isStalled) this.timeline.at(this.stalledUntil, arrive)
      else run()
    }
    return this.timeline.at(moment, arrive)
  }

  /** A promise of the world outside: never settles once the process is dead. */
  answer<T>(work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      work.then(
        (value) => this.take(this.timeline.now, () => resolve(value)),
        (error) => this.take(this.timeline.now, () => reject(error)),
      )
    })
  }

  // ------------------------------------------------------------------ its clock

  readonly now = (): number => Math.floor(EPOCH_MS + this.timeline.now + this.wall.offsetMs)

  readonly monotonicMs = (): number => this.timeline.now

  readonly sleep = (ms: number, signal?: AbortSignal): Promise<void> => {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason)
      const onAbort = () => {
        timer.stop()
        reject(signal?.reason)
      }
      const timer = this.after(ms, () => {
        signal?.removeEventListener('abort', onAbort)
        resolve()
      })
      signal?.addEventListener('abort', onAbort, { once: true })
    })
  }

  readonly after = (ms: number, then: () => void): Timer => {
    let entry: Entry | null = this.take(this.timeline.now + Math.max(1, ms) + this.chance() * LATE_MS_MAX, () => {
      entry = null
      then()
    })
    return {
      stop: () => {
        if (entry) this.timeline.cancel(entry)
        // It may wait for the end of a stop.
        then = () => {}
      },
    }
  }

  readonly every = (ms: number, then: () => void): Timer => {
    let timer: Timer
    let isStopped = false
    const next = () => {
      timer = this.after(ms, () => {
        then()
        if (!isStopped) next()
      })
    }
    next()
    return {
      stop() {
        isStopped = true
        timer.stop()
      },
    }
  }

  readonly soon = (then: () => void): void => {
    this.take(this.timeline.now, then)
  }
}

/** When simulations begin: an ordinary instant. */
export const EPOCH_MS = Date.UTC(2026, 10, 23, 12)
