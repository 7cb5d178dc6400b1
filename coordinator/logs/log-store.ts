/**
 * The log store: what every container of the cluster has written, by service, kept when the container is gone. Blocks come
 * from the agents and are acknowledged when they are on the disk.
 *
 * Each container has one place up to which its lines are kept (file and offset there), and a block is taken only if it begins
 * where the one before it ended. So a block that comes twice is known as such, and none is kept twice or left out, whatever
 * dies in between. The disk being full, nothing is taken; it is said, tried again each second, and the agents wait.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Log } from '../../shared/log.ts'
import { isLeftOver, writePrivateFile } from '../../shared/private-file.ts'
import type { LogBlock, LogPlace } from '../../shared/wire/log-block.ts'
import type { LogGap } from './log-gaps.ts'
import type { KeptHead } from './segment.ts'
import { SegmentIndexer } from './segment-indexer.ts'
import { type ContainerPlace, SEGMENT_BYTES_MAX, type Segment, ServiceLog } from './service-log.ts'

export type LogStoreOptions = {
  dir: string
  /** All services together. */
  bytesMax: number
  /** Lines older than this go. */
  ageMaxMs: number
  now: () => number
  log: Log
}

/** Whose lines a block is of: what the world says, not the agent. */
export type LogOwner = { service: string; name: string; node: string }

/** `taken`: told by onKept once durable. `kept`: it was there already. `elsewhere`: it does not begin where the last ended. */
export type Taking = 'taken' | 'kept' | 'elsewhere' | 'full'

export type KeptPlace = { container: string; node: string; place: LogPlace }

export type LogStoreStats = {
  bytes: number
  rawBytes: number
  lines: number
  blocks: number
  waitingBytes: number
  segmentsDropped: number
  gaps: number
  /** Of segments, packed: which have no index yet. */
  unindexedBytes: number
  isFull: boolean
}

/** What waits for the disk; more is not taken, and its agents begin again where they were. */
const WAITING_BYTES_MAX = 64 * 1024 * 1024
const RETRY_MS = 1_000
const SWEEP_MS = 60_000
/** Of containers that have gone; those that were heard of least lately are forgotten. */
const PLACES_MAX = 200_000
const PLACES_FILE = 'places.json'
/** No service takes more of the room than this part. */
const SERVICE_SHARE_MAX = 0.5

type Waiting = { head: KeptHead; bytes: Uint8Array; service: string }

export class LogStore {
  readonly #options: LogStoreOptions
  readonly #services = new Map<string, ServiceLog>()
  readonly #indexer: SegmentIndexer
  /** Durable. */
  readonly #kept = new Map<string, ContainerPlace>()
  /** With what waits. `at`: its latest time. */
  readonly #taken = new Map<string, LogPlace & { at: number }>()
  /** Containers of which a block was not taken for want of room: who tells them when there is some. */
  readonly #stalled = new Map<string, string>()
  readonly #keptListeners = new Set<(places: KeptPlace[]) => void>()
  readonly #gapListeners = new Set<(gap: LogGap) => void>()
  readonly #roomListeners = new Set<(containers: Map<string, string>) => void>()
  readonly #followers = new Map<string, Set<() => void>>()
  /** By task; the latest last. */
  readonly #owners = new Map<string, LogOwner>()
  #waiting: Waiting[] = []
  #waitingBytes = 0
  #writing: Promise<void> | null = null
  #sweeping: Promise<void> = Promise.resolve()
  readonly #sweeper: NodeJS.Timeout
  #isClosed = false
  /** By service: what the disk said. */
  readonly #troubles = new Map<string, string>()
  #indexTrouble: string | null = null
  #stats = { rawBytes: 0, lines: 0, blocks: 0, segmentsDropped: 0, gaps: 0 }

  /** Reads what is there; of each service only the last segment is looked through. */
  constructor(options: LogStoreOptions) {
    this.#options = options
    mkdirSync(options.dir, { recursive: true, mode: 0o700 })
    for (const [container, place] of Object.entries(readPlaces(join(options.dir, PLACES_FILE)))) {
      this.#kept.set(container, place)
    }
    const entries = readdirSync(options.dir, { withFileTypes: true })
    for (const { name } of entries.filter(({ name }) => isLeftOver(name)))
      rmSync(join(options.dir, name), { force: true })
    this.#indexer = new SegmentIndexer((error) => this.#sayIndexTrouble(error))
    for (const { name } of entries.filter((entry) => entry.isDirectory())) {
      const log = this.#openService(decodeURIComponent(name))
      for (const segment of log.segments) this.#indexer.grown(segment)
      for (const { summary } of log.segments) {
        for (const [container, place] of Object.entries(summary.places)) this.#kept.set(container, place)
        for (const [task, { name, node }] of Object.entries(summary.tasks)) {
          this.#owners.set(task, { service: log.service, name, node })
        }
      }
    }
    this.#sweeper = setInterval(() => this.sweep(), SWEEP_MS)
    this.#sweeper.unref()
  }

  // ---------------------------------------------------------------- writing

  placeOf(container: string): ContainerPlace | null {
    return this.#kept.get(container) ?? null
  }

  /** Whose lines a task's are that has been heard of before. */
  ownerOf(task: string): LogOwner | null {
    return this.#owners.get(task) ?? null
  }

  /** Where the next block begins; what waits for the disk is as good as kept. */
  beginOf(container: string): LogPlace | null {
    return placeIn(this.#taken.get(container) ?? this.#kept.get(container))
  }

  /** Some of what was taken of it is not on the disk yet. */
  isWaiting(container: string): boolean {
    return this.#taken.has(container)
  }

  take({ head, bytes }: LogBlock, { service, name, node }: LogOwner): Taking {
    const { container, file, offset, end } = head
    const place = this.beginOf(container)
    if (place !== null && place.file === file && end <= place.offset) return 'kept'
    const isNext = place === null ? head.after === null : samePlace(head.after, place)
    if (!isNext || (place?.file === file && offset < place.offset)) return 'elsewhere'
    if (this.#waitingBytes + bytes.length > WAITING_BYTES_MAX) {
      this.#stalled.set(container, node)
      return 'full'
    }
    if (head.gap) {
      this.#stats.gaps += 1
      const from = (this.#taken.get(container) ?? this.#kept.get(container))?.at ?? null
      for (const tell of this.#gapListeners) tell({ container, task: head.task, name, node, from, to: head.from })
    }
    this.#taken.set(container, { file, offset: end, at: head.to })
    if (!this.#owners.has(head.task)) this.#owners.set(head.task, { service, name, node })
    this.#waiting.push({ head: { ...head, name, node }, bytes, service })
    this.#waitingBytes += bytes.length
    this.#writing ??= this.#write()
    return 'taken'
  }

  /** Whoever waits is written together: one flush of the disk for each service, whatever their number. */
  async #write(): Promise<void> {
    // What comes within this turn of the event loop goes with it.
    await new Promise((resolve) => setImmediate(resolve))
    try {
      while (this.#waiting.length > 0) {
        const all = this.#waiting
        this.#waiting = []
        const byService = Map.groupBy(all, ({ service }) => service)
        await Promise.all([...byService].map(([service, blocks]) => this.#writeService(service, blocks)))
      }
    } finally {
      // At once, so that what is taken from here on begins anew.
      this.#writing = null
    }
  }

  async #writeService(service: string, blocks: Waiting[]): Promise<void> {
    for (;;) {
      try {
        await this.#logOf(service).append(blocks)
        this.#saySaved(service)
        break
      } catch (error) {
        this.#sayTrouble(service, error)
        // Retention may make room.
        void this.sweep()
        if (this.#isClosed) return
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS))
        if (this.#isClosed) return
      }
    }
    this.#noteKept(service, blocks)
  }

  #noteKept(service: string, blocks: Waiting[]): void {
    const places = new Map<string, KeptPlace>()
    for (const { head, bytes } of blocks) {
      const { container, file, end, task, node, to } = head
      this.#waitingBytes -= bytes.length
      this.#stats.rawBytes += end - head.offset
      this.#stats.lines += head.lines
      this.#stats.blocks += 1
      const place = { file, offset: end }
      this.#kept.delete(container)
      this.#kept.set(container, { ...place, task, node, at: to })
      if (samePlace(this.#taken.get(container) ?? null, place)) this.#taken.delete(container)
      places.set(container, { container, node, place })
    }
    for (const tell of this.#keptListeners) tell([...places.values()])
    for (const wake of this.#followers.get(service) ?? []) wake()
    if (this.#stalled.size > 0 && this.#waitingBytes < WAITING_BYTES_MAX / 2) {
      const stalled = new Map(this.#stalled)
      this.#stalled.clear()
      for (const tell of this.#roomListeners) tell(stalled)
    }
    const last = this.#services.get(service)?.segments.at(-1)
    if (last !== undefined && last.summary.bytes >= SEGMENT_BYTES_MAX) void this.sweep()
  }

  #logOf(service: string): ServiceLog {
    return this.#services.get(service) ?? this.#openService(service)
  }

  #openService(service: string): ServiceLog {
    const dir = join(this.#options.dir, encodeURIComponent(service))
    const log = new ServiceLog(dir, service, (segment) => this.#indexer.grown(segment))
    this.#services.set(service, log)
    return log
  }

  /** Once for all services together: mostly it is one disk. */
  #sayTrouble(service: string, error: unknown): void {
    const isNews = this.#troubles.size === 0
    this.#troubles.set(service, error instanceof Error ? error.message : String(error))
    if (!isNews) return
    const advice = `agents wait with theirs; make room in ${this.#options.dir}, or lower --logs-size`
    this.#options.log.error({ code: 'disk-full' }, `log lines cannot be kept: ${this.trouble}; ${advice}`)
  }

  #saySaved(service: string): void {
    if (!this.#troubles.delete(service) || this.#troubles.size > 0) return
    this.#options.log.info({}, 'log lines are kept again')
  }

  /** Once: what is not indexed is read without. */
  #sayIndexTrouble(error: string): void {
    if (this.#indexTrouble === null)
      this.#options.log.warn({}, `segments of logs cannot be indexed: ${error}; --grep reads all lines of them`)
    this.#indexTrouble = error
  }

  onKept(listener: (places: KeptPlace[]) => void): void {
    this.#keptListeners.add(listener)
  }

  /** Told of lines that an agent could not have, when the block after them is taken. */
  onGap(listener: (gap: LogGap) => void): void {
    this.#gapListeners.add(listener)
  }

  /** There is room again for what was answered with `full`: containers and their nodes. */
  onRoom(listener: (containers: Map<string, string>) => void): void {
    this.#roomListeners.add(listener)
  }

  // ---------------------------------------------------------------- reading

  services(): string[] {
    return [...this.#services.keys()]
  }

  /** Tasks of the service of which there are lines. */
  tasks(service: string): { task: string; name: string; node: string }[] {
    const found = new Map<string, { task: string; name: string; node: string }>()
    for (const { summary } of this.segments(service)) {
      for (const [task, { name, node }] of Object.entries(summary.tasks)) found.set(task, { task, name, node })
    }
    return [...found.values()]
  }

  /** Oldest first. Read only; segments at the front may be gone when they are opened. */
  segments(service: string): readonly Segment[] {
    return this.#services.get(service)?.segments ?? []
  }

  /** The index of this segment does not go as far as it should. */
  indexAgain(segment: Segment): void {
    void this.#indexer.again(segment)
  }

  /** Resolves when all segments have their indices, as far as they are to have them. */
  indexed(): Promise<void> {
    return this.#indexer.idle()
  }

  /** Calls back whenever lines of the service have been kept. Returns the way to stop. */
  follow(service: string, wake: () => void): () => void {
    const followers = this.#followers.get(service) ?? new Set()
    this.#followers.set(service, followers)
    followers.add(wake)
    return () => {
      followers.delete(wake)
      if (followers.size === 0) this.#followers.delete(service)
    }
  }

  /** What the disk said when it did not take any lines; null: it takes them. */
  get trouble(): string | null {
    return this.#troubles.values().next().value ?? null
  }

  stats(): LogStoreStats {
    let [bytes, unindexedBytes] = [0, 0]
    for (const log of this.#services.values()) {
      bytes += log.bytes
      for (const { summary, index } of log.segments) unindexedBytes += summary.bytes - index.covered
    }
    return { ...this.#stats, bytes, unindexedBytes, waitingBytes: this.#waitingBytes, isFull: this.#troubles.size > 0 }
  }

  // ---------------------------------------------------------------- retention

  /** What there is no room or time for goes; done each minute, and when a segment is full. */
  sweep(): Promise<void> {
    this.#sweeping = this.#sweeping.then(() => this.#sweep()).catch(() => {})
    return this.#sweeping
  }

  /** Places outlive the lines: nothing is taken twice. */
  async #sweep(): Promise<void> {
    this.#indexer.retry()
    for (let overdue = this.#overdue(); overdue.length > 0 && !this.#isClosed; overdue = this.#overdue()) {
      await this.#keepPlaces().catch(() => {})
      for (const { log, segment } of overdue) {
        if (!(await log.drop(segment))) continue
        this.#indexer.forget(segment)
        this.#stats.segmentsDropped += 1
        const left = new Set(this.tasks(log.service).map(({ task }) => task))
        for (const task of Object.keys(segment.summary.tasks)) if (!left.has(task)) this.#owners.delete(task)
      }
    }
  }

  /** What is too old; else what a service has too much; else, if all have, the oldest: of those that are written to, only then. */
  #overdue(): { log: ServiceLog; segment: Segment }[] {
    const { bytesMax, ageMaxMs, now } = this.#options
    const firsts = [...this.#services.values()].flatMap((log) =>
      log.segments.slice(0, 1).map((segment) => ({ log, segment })),
    )
    const old = firsts.filter(({ segment }) => segment.summary.to < now() - ageMaxMs)
    if (old.length > 0) return old
    const sealed = firsts.filter(({ segment }) => segment.sealed)
    const large = sealed.filter(({ log }) => log.bytes > bytesMax * SERVICE_SHARE_MAX)
    if (large.length > 0) return large
    if (this.stats().bytes <= bytesMax) return []
    const byAge = (sealed.length > 0 ? sealed : firsts).sort((a, b) => a.segment.summary.to - b.segment.summary.to)
    return byAge.slice(0, 1)
  }

  async #keepPlaces(): Promise<void> {
    for (const container of this.#kept.keys()) {
      if (this.#kept.size <= PLACES_MAX) break
      this.#kept.delete(container)
    }
    await writePrivateFile(join(this.#options.dir, PLACES_FILE), JSON.stringify(Object.fromEntries(this.#kept)))
  }

  /** What waits is written first, if the disk takes it. */
  async close(): Promise<void> {
    this.#isClosed = true
    clearInterval(this.#sweeper)
    await this.#writing?.catch(() => {})
    await this.#sweeping
    await this.#indexer.close()
    for (const log of this.#services.values()) await log.close()
  }
}

function readPlaces(path: string): Record<string, ContainerPlace> {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Record<string, ContainerPlace>
  } catch {
    return {}
  }
}

function placeIn(place: LogPlace | undefined): LogPlace | null {
  return place === undefined ? null : { file: place.file, offset: place.offset }
}

function samePlace(a: LogPlace | null, b: LogPlace): boolean {
  return a !== null && a.file === b.file && a.offset === b.offset
}
