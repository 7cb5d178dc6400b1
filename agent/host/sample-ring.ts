/** The last minute of one container in steps of a second: figures in one array, made once, since most rings are never looked at. */
import type { Instant } from '../../shared/clock.ts'
import { LAST_MINUTE_SAMPLES_MAX } from '../../shared/wire/bounds.ts'
import type { LastMinute } from '../../shared/wire/up.ts'

export const RING_SAMPLES = LAST_MINUTE_SAMPLES_MAX
export const RING_STEP_MS = 1_000
/** Whoever reads sooner than this after the reading before adds none: steps are of a second, a little more or less. */
const STEP_MS_MIN = 900
const FIELDS = 3

export class SampleRing {
  /** One reading more than samples: a rate is between two. */
  readonly #figures = new Float64Array((RING_SAMPLES + 1) * FIELDS)
  #next = 0
  #count = 0
  #newestMs = Number.NEGATIVE_INFINITY

  /** Whether a reading at this moment, by a clock that never goes back, is a step after the newest. */
  wants(atMs: number): boolean {
    return atMs - this.#newestMs >= STEP_MS_MIN
  }

  /** `cpuUsedMs`: since the container began. */
  add(atMs: number, cpuUsedMs: number, memoryBytesUsed: number): void {
    const from = this.#next * FIELDS
    this.#figures[from] = atMs
    this.#figures[from + 1] = cpuUsedMs
    this.#figures[from + 2] = memoryBytesUsed
    this.#newestMs = atMs
    this.#next = (this.#next + 1) % (RING_SAMPLES + 1)
    this.#count = Math.min(this.#count + 1, RING_SAMPLES + 1)
  }

  /** Oldest first, a sample for each step. `nowMs`, `now`: the same moment by the ring's clock and by that of the host. */
  samples(nowMs: number, now: Instant): Pick<LastMinute, 'at' | 'cpuCoresUsed' | 'memoryBytesUsed'> {
    const [at, cpuCoresUsed, memoryBytesUsed]: [number[], number[], number[]] = [[], [], []]
    for (let step = 1; step < this.#count; step++) {
      const [beforeMs, usedBeforeMs] = this.#reading(step - 1)
      const [atMs, usedMs, bytes] = this.#reading(step)
      at.push(Math.max(0, Math.round(now - (nowMs - atMs))))
      cpuCoresUsed.push(Math.max(0, usedMs - usedBeforeMs) / (atMs - beforeMs))
      memoryBytesUsed.push(bytes)
    }
    return { at, cpuCoresUsed, memoryBytesUsed }
  }

  /** 0: the oldest. */
  #reading(index: number): [atMs: number, cpuUsedMs: number, memoryBytesUsed: number] {
    const from = ((this.#next - this.#count + index + RING_SAMPLES + 1) % (RING_SAMPLES + 1)) * FIELDS
    return [this.#figures[from]!, this.#figures[from + 1]!, this.#figures[from + 2]!]
  }
}
