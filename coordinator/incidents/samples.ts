/**
 * What an incident shows of the time before: the last loads of each task and node, as heartbeats told them; of a task that went bad
 * its last minute in steps of a second, which its agent tells just before.
 */
import type { Instant } from '../../shared/clock.ts'
import type { LastMinute } from '../../shared/wire/up.ts'
import type { NodeName, TaskId } from '../world.ts'

export type Sample = {
  at: Instant
  cpuCoresUsed: number
  memoryBytesUsed: number
  /** Part of the time in which the container was held back by its limit, 0 to 1. */
  cpuThrottledShare: number
}

export const SAMPLES_KEPT = 60
/** Together about 20 MB; of more, those that come later have none until others have gone. */
export const SAMPLED_MAX = 10_000
/** How often it is looked who has gone, while there is no room. */
const SWEEP_EVERY_MS = 60_000
const FIELDS = 4

/** A ring of figures without objects, since there are many and most are never looked at. */
type Ring = { figures: Float64Array; next: number; count: number }

export class Samples {
  readonly #rings = new Map<string, Ring>()
  readonly #max: number
  #sweptAt = Number.NEGATIVE_INFINITY

  constructor(max = SAMPLED_MAX) {
    this.#max = max
  }

  /** Whether a sample of this one may be kept: it has some, or there may be room. */
  takes(name: string, at: Instant): boolean {
    return this.#rings.has(name) || this.#rings.size < this.#max || at - this.#sweptAt >= SWEEP_EVERY_MS
  }

  /** `isGone`: asked of all, now and then, when there is no room for this one. */
  add(name: string, sample: Sample, isGone: (name: string) => boolean): void {
    let ring = this.#rings.get(name)
    if (ring === undefined) {
      if (this.#rings.size >= this.#max) this.#sweep(sample.at, isGone)
      if (this.#rings.size >= this.#max) return
      ring = { figures: new Float64Array(SAMPLES_KEPT * FIELDS), next: 0, count: 0 }
      this.#rings.set(name, ring)
    }
    const { at, cpuCoresUsed, memoryBytesUsed, cpuThrottledShare } = sample
    ring.figures.set([at, cpuCoresUsed, memoryBytesUsed, cpuThrottledShare], ring.next * FIELDS)
    ring.next = (ring.next + 1) % SAMPLES_KEPT
    ring.count = Math.min(ring.count + 1, SAMPLES_KEPT)
  }

  /** Oldest first; empty for one that was never heard of. */
  of(name: string): Sample[] {
    const ring = this.#rings.get(name)
    if (ring === undefined) return []
    const { figures, next, count } = ring
    return Array.from({ length: count }, (_, index) => {
      const from = ((next - count + index + SAMPLES_KEPT) % SAMPLES_KEPT) * FIELDS
      const [at = 0, cpuCoresUsed = 0, memoryBytesUsed = 0, cpuThrottledShare = 0] = figures.subarray(
        from,
        from + FIELDS,
      )
      return { at, cpuCoresUsed, memoryBytesUsed, cpuThrottledShare }
    })
  }

  #sweep(now: Instant, isGone: (name: string) => boolean): void {
    if (now - this.#sweptAt < SWEEP_EVERY_MS) return
    this.#sweptAt = now
    for (const name of this.#rings.keys()) if (isGone(name)) this.#rings.delete(name)
  }
}

/** Together about 2 MB. They are asked for at once, so that the oldest may go. */
export const LAST_MINUTES_KEPT = 1_000

export class LastMinutes {
  readonly #byTask = new Map<TaskId, LastMinute & { node: NodeName }>()

  add(node: NodeName, told: readonly LastMinute[]): void {
    for (const each of told) {
      this.#byTask.delete(each.task)
      this.#byTask.set(each.task, { ...each, node })
    }
    for (const task of this.#byTask.keys()) {
      if (this.#byTask.size <= LAST_MINUTES_KEPT) return
      this.#byTask.delete(task)
    }
  }

  /** Null: its agent told none, of this run. */
  of(node: NodeName, task: TaskId, attempt?: number): LastMinute | null {
    const known = this.#byTask.get(task)
    return known?.node === node && (attempt ?? known.attempt) === known.attempt ? known : null
  }
}

/** By our clock. How far a container was held back is known from heartbeats alone: as told last at that moment. */
export function inSteps({ at, cpuCoresUsed, memoryBytesUsed }: LastMinute, skewMs: number, told: Sample[]): Sample[] {
  const length = Math.min(at.length, cpuCoresUsed.length, memoryBytesUsed.length)
  return Array.from({ length }, (_, index) => {
    const ourAt = at[index]! - skewMs
    const { cpuThrottledShare = 0 } = told.findLast((sample) => sample.at <= ourAt) ?? {}
    return {
      at: ourAt,
      cpuCoresUsed: cpuCoresUsed[index]!,
      memoryBytesUsed: memoryBytesUsed[index]!,
      cpuThrottledShare,
    }
  })
}
