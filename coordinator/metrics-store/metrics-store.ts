/**
 * What was measured, over time: a point a second for an hour, then thinned (`tiers.ts`). What is new is packed in memory and written a
 * frame at a time; nobody waits for that. A crash loses what the first tier had not written, at most a minute; the coarser
 * tiers are then made again from the finer ones. Times here are epoch seconds.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Log } from '../../shared/log.ts'
import { metricNamed } from '../../shared/metric-names.ts'
import { atOnce, type Steps } from '../decide/steps.ts'
import { readBlock } from './block.ts'
import { type Block, encodeFrame } from './frame.ts'
import { isKnownSeries, OpenSeries } from './open-series.ts'
import { type Subject, type SubjectFacts, Subjects, seriesOfSubject, subjectOfSeries } from './subjects.ts'
import { TierFiles } from './tier-files.ts'
import { TIERS } from './tiers.ts'

export type MetricsStoreOptions = {
  dir: string
  /** All files together; the oldest points go when there would be more. */
  bytesMax: number
  /** Series with new points; those beyond are left out, and counted. */
  seriesMax: number
  log: Log
}

/** `peak` is the largest value of the step, `value` its mean (of a counter: its last). */
export type Visit = (series: number, second: number, value: number, peak: number) => void

export type MetricsStore = {
  readonly stats: MetricsStoreStats
  subjects(): Iterable<Subject>
  /**
   * What is to be done before the first point of this second, to be interrupted, but by no point: each minute what is open of all series is
   * packed. `append` does it at once where it was not done.
   */
  advanceInSteps(second: number): Steps
  /** Values of one subject at one time, by name of the metric. Seconds only grow from call to call, but for a clock that is set back. */
  append(facts: SubjectFacts, second: number, values: Iterable<[metric: string, value: number]>): void
  /**
   * The tasks of the node, some of them gone, of which points are taken: what was measured of others need not be put together. Null:
   * any, as there is room.
   */
  tasksTaken(node: string): ReadonlySet<string> | null
  /** Calls for each point of these series in [from, to), each series' own in order of time but for a clock that was set back. */
  read(query: { series: readonly number[]; from: number; to: number; tier: number; visit: Visit }): Promise<void>
  /** Resolves when the frames that were cut up to now are on the disk, or lost. */
  written(): Promise<void>
  close(): Promise<void>
}

export type MetricsStoreStats = {
  series: number
  subjects: number
  bytes: number
  samples: number
  seriesLeftOut: number
  framesLost: number
}

/** A clock that goes back by less is waited for. */
const CLOCK_BACK_SECONDS_MAX = 60
/** A series that had no point for so long is over, for what it takes in memory. */
const IDLE_SECONDS = 600
/** A disk that does not keep up must not fill the memory. */
const BYTES_WAITING_MAX = 64 * 1024 * 1024

/** @throws when the folder cannot be read or written */
export async function openMetricsStore(options: MetricsStoreOptions): Promise<MetricsStore> {
  mkdirSync(options.dir, { recursive: true, mode: 0o700 })
  const store = new PackedMetricsStore(options)
  await store.recover()
  return store
}

type Waiting = { tier: number; from: number; to: number; blocks: Block[]; bytes: number }

class PackedMetricsStore implements MetricsStore {
  readonly #options: MetricsStoreOptions
  readonly #files: TierFiles[]
  readonly #subjects: Subjects
  readonly #open = new Map<number, OpenSeries>()
  /** The same, each subject's by number of the metric: most points are of a series that had one a second ago. */
  #openOf = new WeakMap<Subject, OpenSeries[]>()
  /** Where the frame that each tier is at ends; 0: it has not begun. */
  readonly #frameEnds = TIERS.map(() => 0)
  /** Cut, and not on the disk yet. */
  readonly #waiting = new Set<Waiting>()
  #bytesWaiting = 0
  #writing: Promise<void> = Promise.resolve()
  #second = 0
  /** Begun, and others have a turn. */
  #advancing: Steps<boolean> | null = null
  #samples = 0
  #leftOut = new Set<number>()
  #framesLost = 0
  #isFailing = false

  constructor(options: MetricsStoreOptions) {
    this.#options = options
    this.#files = TIERS.map(
      ({ name, keepSeconds, share }) =>
        new TierFiles({ dir: join(options.dir, name), keepSeconds, bytesMax: options.bytesMax * share }),
    )
    this.#subjects = new Subjects(join(options.dir, 'subjects'))
  }

  get stats(): MetricsStoreStats {
    return {
      series: this.#open.size,
      subjects: this.#subjects.size,
      bytes: this.#files.reduce((sum, { bytes }) => sum + bytes, 0),
      samples: this.#samples,
      seriesLeftOut: this.#leftOut.size,
      framesLost: this.#framesLost,
    }
  }

  subjects(): Iterable<Subject> {
    return this.#subjects.all()
  }

  tasksTaken(node: string): ReadonlySet<string> | null {
    return this.#isFull() ? this.#subjects.tasksOn(node) : null
  }

  *advanceInSteps(second: number): Steps {
    this.#finishAdvancing()
    const advancing = this.#advance(second)
    this.#advancing = advancing
    while (!advancing.next().done) yield
    this.#finishAdvancing()
  }

  #finishAdvancing(): void {
    if (this.#advancing !== null) atOnce(this.#advancing)
    this.#advancing = null
  }

  append(facts: SubjectFacts, second: number, values: Iterable<[string, number]>): void {
    this.#finishAdvancing()
    if (second !== this.#second && !atOnce(this.#advance(second))) return
    const subject = this.#isFull() ? this.#subjects.known(facts) : this.#subjects.of(facts)
    if (subject === null) return
    const open = this.#openOf.get(subject) ?? []
    if (open.length === 0) this.#openOf.set(subject, open)
    for (const [name, value] of values) {
      const metric = metricNamed(name)
      if (metric === undefined) throw new Error(`there is no metric ${name}`)
      const series = open[metric.number] ?? this.#openSeries(seriesOfSubject(subject, metric.number))
      if (series === null) continue
      open[metric.number] = series
      series.append(second, value)
      this.#samples++
    }
  }

  async read({ series, from, to, tier, visit }: Parameters<MetricsStore['read']>[0]): Promise<void> {
    const wanted = [...series].sort((a, b) => a - b)
    const isPair = tier > 0
    const visitBlock = (number: number, block: Uint8Array) =>
      readBlock(block, isPair, (second, value, above) => {
        if (second >= from && second < to) visit(number, second, value, value + above)
      })
    await this.#files[tier]!.read(wanted, from, to, visitBlock)
    const isWanted = new Set(wanted)
    for (const waiting of this.#waiting) {
      if (waiting.tier !== tier) continue
      for (const { series: number, bytes } of waiting.blocks) if (isWanted.has(number)) visitBlock(number, bytes)
    }
    for (const number of wanted) {
      const open = this.#open.get(number)
      const block = open?.peek(tier)
      if (block) visitBlock(number, block)
      const step = open?.peekThinning(tier)
      if (step && step.second >= from && step.second < to)
        visit(number, step.second, step.value, Math.max(step.value, step.max))
    }
  }

  async written(): Promise<void> {
    await this.#writing
  }

  async close(): Promise<void> {
    this.#finishAdvancing()
    atOnce(this.#cut(0))
    await this.#writing
  }

  // ---------------------------------------------------------------- after a start

  /** What the coarser tiers had not written when the process ended is made again from the finer ones. */
  async recover(): Promise<void> {
    for (let tier = 1; tier < TIERS.length; tier++) await this.#thinAgain(tier)
    await this.#forgetSubjects()
  }

  async #thinAgain(tier: number): Promise<void> {
    const finer = tier - 1
    const weight = TIERS[finer]!.stepSeconds
    const since = this.#files[tier]!.to
    const add = (number: number, second: number, value: number, peak: number, seconds = weight) => {
      if (second < since) return
      this.#openSeries(number)?.thin(tier, second, value, peak, seconds)
    }
    const addBlock = (number: number, block: Uint8Array) =>
      readBlock(block, finer > 0, (second, value, above) => add(number, second, value, value + above))
    await this.#files[finer]!.read('all', since, Number.POSITIVE_INFINITY, addBlock, (from) =>
      atOnce(this.#advanceTier(tier, Math.max(from, since))),
    )
    if (finer === 0) return
    for (const [number, series] of this.#open) {
      const block = series.peek(finer)
      if (block) addBlock(number, block)
      const step = series.peekThinning(finer)
      if (step) add(number, step.second, step.value, step.max, step.weight)
    }
  }

  // ---------------------------------------------------------------- time goes on

  /** False: it is a moment ago, and what was measured then is left out. */
  *#advance(second: number): Steps<boolean> {
    if (second < this.#second) {
      if (this.#second - second <= CLOCK_BACK_SECONDS_MAX) return false
      this.#options.log.warn({ seconds: this.#second - second }, 'the clock was set back; metrics begin anew from here')
      for (const tier of TIERS.keys()) yield* this.#cut(tier)
      for (const series of this.#open.values()) series.forgetTime()
    }
    if (second === this.#second) return true
    for (const tier of TIERS.keys()) yield* this.#advanceTier(tier, second)
    this.#second = second
    return true
  }

  *#advanceTier(tier: number, second: number): Steps {
    if (this.#frameEnds[tier]! > 0 && second >= this.#frameEnds[tier]!) {
      yield* this.#cut(tier)
      if (tier === TIERS.length - 1) this.#forgetIdle(second)
    }
    const { frameSeconds } = TIERS[tier]!
    if (this.#frameEnds[tier] === 0) this.#frameEnds[tier] = second - (second % frameSeconds) + frameSeconds
  }

  /** All that is open of the tier becomes a frame. What is cut can be read at any time. */
  *#cut(tier: number): Steps {
    const to = this.#frameEnds[tier]!
    this.#frameEnds[tier] = 0
    const cut: Waiting = { tier, from: to - TIERS[tier]!.frameSeconds, to, blocks: [], bytes: 0 }
    this.#waiting.add(cut)
    for (const [series, open] of this.#open) {
      const bytes = open.cut(tier)
      if (bytes === null) continue
      cut.blocks.push({ series, bytes })
      cut.bytes += bytes.length
      yield
    }
    cut.blocks.sort((a, b) => a.series - b.series)
    this.#write(cut)
  }

  #forgetIdle(second: number): void {
    for (const [number, series] of this.#open) {
      if (series.isEmpty && second - series.lastSecond > IDLE_SECONDS) this.#open.delete(number)
    }
    this.#openOf = new WeakMap()
    this.#leftOut = new Set()
    this.#writing = this.#writing.then(() => this.#forgetSubjects()).catch((error: unknown) => this.#failed(error))
  }

  /** A node or task of which no point is kept any more. */
  async #forgetSubjects(): Promise<void> {
    const kept = new Set<number>()
    for (const files of this.#files) for (const series of await files.series()) kept.add(subjectOfSeries(series))
    for (const { blocks } of this.#waiting) for (const { series } of blocks) kept.add(subjectOfSeries(series))
    for (const series of this.#open.keys()) kept.add(subjectOfSeries(series))
    await this.#subjects.keepOnly(({ number }) => kept.has(number))
  }

  /** No further series is taken, nor counted: of a million tasks that are left out there is no subject either. */
  #isFull(): boolean {
    const { seriesMax } = this.#options
    return this.#open.size >= seriesMax && this.#leftOut.size >= seriesMax
  }

  #openSeries(number: number): OpenSeries | null {
    const known = this.#open.get(number)
    if (known !== undefined) return known
    if (!isKnownSeries(number) || this.#subjects.numbered(subjectOfSeries(number)) === undefined) return null
    if (this.#open.size >= this.#options.seriesMax) {
      // Counted one by one up to as many again.
      if (this.#leftOut.size < this.#options.seriesMax) this.#leftOut.add(number)
      return null
    }
    const series = new OpenSeries(number)
    this.#open.set(number, series)
    return series
  }

  // ---------------------------------------------------------------- the disk

  #write(waiting: Waiting): void {
    const isTooMuch = this.#bytesWaiting + waiting.bytes > BYTES_WAITING_MAX
    if (isTooMuch) this.#failed(new Error('the disk does not keep up'))
    if (isTooMuch || waiting.blocks.length === 0) {
      this.#waiting.delete(waiting)
      return
    }
    this.#bytesWaiting += waiting.bytes
    const { tier, from, to, blocks } = waiting
    this.#writing = this.#writing.then(async () => {
      try {
        await this.#subjects.save()
        await this.#files[tier]!.append(encodeFrame(from, to, blocks))
        this.#isFailing = false
      } catch (error) {
        this.#failed(error)
      } finally {
        this.#waiting.delete(waiting)
        this.#bytesWaiting -= waiting.bytes
      }
    })
  }

  /** Said once until it works again: metrics are no reason to hold anything else up. */
  #failed(error: unknown): void {
    this.#framesLost++
    if (this.#isFailing) return
    this.#isFailing = true
    const { dir, log } = this.#options
    log.error(
      { error: String(error) },
      `metrics cannot be written to ${dir} (${String(error)}); those of this time are lost`,
    )
  }
}
