/**
 * Keeps the indices of segments up with what is written to them, one order at a time, in a thread that begins with the first of
 * them. It may be behind, be killed, or not be let write: what has no index is read without one.
 */
import { existsSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { Worker } from 'node:worker_threads'
import { type IndexOrder, PART_BYTES_MAX } from './index-segment.ts'
import type { IndexAnswer } from './index-thread.ts'
import { indexPathOf } from './segment-index.ts'
import type { Segment } from './service-log.ts'

export class SegmentIndexer {
  /** Those to look at, the longest-waiting first. */
  readonly #waiting = new Set<Segment>()
  /** Of those that are written to: lines that have been asked for, in bytes before they are packed. */
  readonly #askedBytes = new WeakMap<Segment, number>()
  readonly #failed = new Set<Segment>()
  readonly #say: (error: string) => void
  #thread: Worker | null = null
  #underWay: Segment | null = null
  #idleListeners: (() => void)[] = []
  #isClosed = false

  /** `say` is told why an index could not be written. */
  constructor(say: (error: string) => void) {
    this.#say = say
  }

  /** More has been written to it, or no more will be. */
  grown(segment: Segment): void {
    const { sealed, summary } = segment
    if (!sealed && summary.rawBytes - (this.#askedBytes.get(segment) ?? 0) < PART_BYTES_MAX) return
    this.#askedBytes.set(segment, summary.rawBytes)
    this.#waiting.add(segment)
    this.#next()
  }

  /** Its index turned out to be damaged: it is begun anew. */
  async again(segment: Segment): Promise<void> {
    if (this.#underWay === segment || this.#waiting.has(segment)) return
    await rm(indexPathOf(segment.path), { force: true }).catch(() => {})
    segment.index = { covered: 0, length: 0 }
    this.#waiting.add(segment)
    this.#next()
  }

  forget(segment: Segment): void {
    this.#waiting.delete(segment)
    this.#failed.delete(segment)
  }

  /** Those that could not be indexed are tried again: there may be room on the disk by now. */
  retry(): void {
    for (const segment of this.#failed) this.#waiting.add(segment)
    this.#failed.clear()
    this.#next()
  }

  /** Resolves when there is nothing to do. */
  idle(): Promise<void> {
    if (this.#underWay === null && this.#waiting.size === 0) return Promise.resolve()
    return new Promise((resolve) => this.#idleListeners.push(resolve))
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#waiting.clear()
    await this.#thread?.terminate()
  }

  #next(): void {
    if (this.#underWay !== null || this.#isClosed) return
    const segment = this.#waiting.values().next().value
    if (segment === undefined) {
      for (const tell of this.#idleListeners.splice(0)) tell()
      return
    }
    this.#waiting.delete(segment)
    this.#underWay = segment
    const order: IndexOrder = { path: segment.path, bytes: segment.summary.bytes, isSealed: segment.sealed }
    this.#thread ??= this.#begin()
    this.#thread.postMessage(order)
  }

  #begin(): Worker {
    const thread = new Worker(new URL('./index-thread.ts', import.meta.url))
    thread.unref()
    thread.on('message', (answer: IndexAnswer) => this.#done(answer))
    thread.on('error', (error) => {
      this.#thread = null
      this.#done({ error: error instanceof Error ? error.message : String(error) })
    })
    return thread
  }

  #done(answer: IndexAnswer): void {
    const segment = this.#underWay
    if (segment === null || this.#isClosed) return
    this.#underWay = null
    if (!existsSync(segment.path)) void rm(indexPathOf(segment.path), { force: true }).catch(() => {})
    else if ('error' in answer) this.#failSegment(segment, answer.error)
    else segment.index = answer
    this.#next()
  }

  #failSegment(segment: Segment, error: string): void {
    this.#failed.add(segment)
    this.#say(error)
  }
}
