/** The part of a series that is not on the disk yet: one block being written in each tier. */
import { METRICS, METRICS_MAX, type Metric } from '../../shared/metric-names.ts'
import { BlockWriter } from './block.ts'
import { TIERS } from './tiers.ts'

/** Points of one step of a thinned tier, until it is over. `weight` is in seconds. */
type Thinning = { second: number; sum: number; weight: number; max: number; last: number }

export class OpenSeries {
  readonly number: number
  readonly metric: Metric
  lastSecond = 0
  readonly #blocks: (BlockWriter | null)[] = TIERS.map(() => null)
  /** The first tier has none. */
  readonly #thinning: (Thinning | null)[] = TIERS.map(() => null)

  constructor(number: number) {
    this.number = number
    this.metric = METRIC_BY_NUMBER[number % METRICS_MAX]!
  }

  /** A measured value, into every tier. What comes no later than the point before is left out. */
  append(second: number, value: number): void {
    const whole = Math.round(value / this.metric.step)
    if (second <= this.lastSecond || !Number.isSafeInteger(whole)) return
    this.lastSecond = second
    this.#block(0).append(second, whole)
    for (let tier = 1; tier < TIERS.length; tier++) this.thin(tier, second, whole, whole, 1)
  }

  /** What a finer tier has, into a coarser one: `weight` seconds of mean `value` and peak `max`. */
  thin(tier: number, at: number, value: number, max: number, weight: number): void {
    const second = at - (at % TIERS[tier]!.stepSeconds)
    const open = this.#thinning[tier]
    if (open == null) {
      this.#thinning[tier] = { second, sum: value * weight, weight, max, last: value }
    } else if (open.second === second) {
      open.sum += value * weight
      open.weight += weight
      open.last = value
      if (max > open.max) open.max = max
    } else {
      this.#close(tier, open)
      open.second = second
      open.sum = value * weight
      open.weight = weight
      open.max = max
      open.last = value
    }
  }

  /** All that is open of the tier, as a block; null: nothing. What comes next begins another one. */
  cut(tier: number): Uint8Array | null {
    const open = this.#thinning[tier]
    if (open != null) this.#close(tier, open)
    this.#thinning[tier] = null
    const bytes = this.#blocks[tier]?.finish() ?? null
    this.#blocks[tier] = null
    return bytes
  }

  /** The same, and all stays as it is. */
  peek(tier: number): Uint8Array | null {
    return this.#blocks[tier]?.finish() ?? null
  }

  /** The step that is not over yet. */
  peekThinning(tier: number): { second: number; value: number; max: number; weight: number } | null {
    const open = this.#thinning[tier]
    return open == null ? null : { second: open.second, value: this.#valueOf(open), max: open.max, weight: open.weight }
  }

  get isEmpty(): boolean {
    return this.#blocks.every((block) => block === null) && this.#thinning.every((open) => open === null)
  }

  /** Of a clock that was set back, nothing is earlier than the points before. */
  forgetTime(): void {
    this.lastSecond = 0
  }

  #close(tier: number, open: Thinning): void {
    const block = this.#block(tier)
    if (block.count > 0 && open.second <= block.lastSecond) return
    const value = this.#valueOf(open)
    block.append(open.second, value, Math.max(0, open.max - value))
  }

  /** A mean of a counter would tell of a number that it never had. */
  #valueOf({ sum, weight, last }: Thinning): number {
    return this.metric.isCounter ? last : Math.round(sum / weight)
  }

  #block(tier: number): BlockWriter {
    this.#blocks[tier] ??= new BlockWriter(tier > 0)
    return this.#blocks[tier]
  }
}

const METRIC_BY_NUMBER: (Metric | undefined)[] = []
for (const metric of METRICS) METRIC_BY_NUMBER[metric.number] = metric

/** Another version of Berth may have had more of them. */
export function isKnownSeries(number: number): boolean {
  return METRIC_BY_NUMBER[number % METRICS_MAX] !== undefined
}
