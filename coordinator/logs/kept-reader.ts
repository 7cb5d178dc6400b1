/**
 * Reads logs out of the store: what was kept before, merged in order of time, then (following) what is kept from there on. A
 * reader holds a place in the files and no lines, so that a slow one holds up nobody and loses nothing.
 */
import { BerthError } from '../../shared/errors.ts'
import { type LogPosition, passOver } from '../../shared/log-position.ts'
import type { LogLine } from '../../shared/wire/up.ts'
import type { LogBatch, LogReader, LogTarget } from '../core.ts'
import { BackwardBlocks } from './backward-blocks.ts'
import { levelsFrom } from './block-facts.ts'
import { gramsOf } from './gram-filter.ts'
import { BlockFiles, type BlockRef } from './kept-lines.ts'
import { LineSieve } from './line-filter.ts'
import { LineSearch } from './line-search.ts'
import type { LogStore } from './log-store.ts'
import { type Holding, type Joiners, linesIn, mergeBlocks } from './merge-blocks.ts'
import { openPattern, type Pattern } from './pattern.ts'
import type { Segment } from './service-log.ts'
import { type BegunSources, recordsFrom, type Wanted, wantedBlocks } from './wanted-blocks.ts'

type Query = Parameters<LogReader['read']>[0]

export type KeptReaderNeeds = {
  store: LogStore
  /** The service that a task is of, if it is known. */
  serviceOf(task: string): string | null
  /** Resolves when all that was written on these nodes by now is kept, or after a moment. */
  look(nodes: string[]): Promise<void>
  isOpen(node: string): boolean
  /** Told of each node whose connection is gone. Returns the way to stop. */
  onNodeClosed(listener: (node: string) => void): () => void
  search?: LineSearch
}

export const READERS_MAX = 256
/** One query looks at so many blocks: some 100 GB of lines. */
export const BLOCKS_MAX = 400_000
/** What was begun as a line, such as a prompt, is shown after so long. */
const BEGUN_LINE_MS = 1_000
/** When nothing is left to follow: last lines may be on their way. */
const LAST_LINES_MS = 5_000
/** A clock that was set back within one second is not noticed in the times of a block. */
const TIME_SLACK_MS = 1_000

/** How far the reader is in the files of a service. */
type Cursor = { segment: number; at: number }
/** A segment as it was when the query came. */
type PastSegment = { segment: Segment; end: number }

export function createKeptReader(needs: KeptReaderNeeds): LogReader {
  let readers = 0
  const { search = new LineSearch() } = needs
  return {
    async *read(query) {
      if (readers >= READERS_MAX) {
        const message = `${READERS_MAX} readers of logs are connected already; try again when one has gone`
        throw new BerthError('too-many-requests', message)
      }
      readers += 1
      const reading = new Reading(needs, search, query)
      try {
        yield* reading.batches()
      } finally {
        readers -= 1
        reading.close()
      }
    },
    known: ({ task, services }) => {
      const named = services.flatMap((service) => needs.store.tasks(service))
      return task === undefined ? named : named.filter((each) => each.task === task || each.name === task)
    },
    services: () => needs.store.services(),
  }
}

class Reading {
  readonly #needs: KeptReaderNeeds
  readonly #search: LineSearch
  readonly #query: Query
  readonly #pattern: Pattern | null
  readonly #sieve: LineSieve
  readonly #files = new BlockFiles()
  readonly #joiners: Joiners = new Map()
  readonly #cursors = new Map<string, Cursor>()
  readonly #followed = new Map<string, () => void>()
  readonly #targets = new Map<string, { node: string; isHad: ((at: number) => boolean) | null }>()
  readonly #stopHearing: (() => void) | null
  #missing = new Set<string>()
  readonly #stopWatching: (() => void) | undefined
  /** New tasks whose past is to be read before going on. */
  #joined: LogTarget[] = []
  #goneAt: number | null = null
  #wake: (() => void) | null = null
  #isDirty = true
  #blocksSeen = 0

  constructor(needs: KeptReaderNeeds, search: LineSearch, query: Query) {
    this.#needs = needs
    this.#search = search
    this.#query = query
    this.#pattern = query.grep === undefined ? null : openPattern(query.grep)
    this.#sieve = new LineSieve(query)
    for (const target of query.tasks) this.#add(target)
    query.signal.addEventListener('abort', this.#look)
    this.#stopHearing = query.follow ? needs.onNodeClosed((node) => this.#nodeClosed(node)) : null
    this.#stopWatching = query.watch?.((targets) => this.#retarget(targets))
  }

  close(): void {
    this.#stopWatching?.()
    this.#stopHearing?.()
    this.#query.signal.removeEventListener('abort', this.#look)
    for (const stop of this.#followed.values()) stop()
    this.#pattern?.close()
    this.#files.close()
  }

  async *batches(): AsyncGenerator<LogBatch> {
    const { tasks, signal, follow, tailLines } = this.#query
    const nodes = [...new Set(tasks.map(({ node }) => node))].filter((node) => node !== '')
    const missingNodes = nodes.filter((node) => !this.#needs.isOpen(node))
    if (missingNodes.length > 0) yield { lines: [], dropped: 0, missingNodes }
    if (tailLines !== 0 || !follow) await this.#needs.look(nodes)
    const wanted = this.#wantedOf(tasks)
    const past = this.#pastSegments(tasks, wanted)
    const lines =
      tailLines === undefined ? this.#merged(await this.#blocksOf(past, wanted)) : this.#tail(past, wanted, tailLines)
    for await (const some of lines) {
      if (signal.aborted) return
      if (some.length > 0) yield batchOf(some)
    }
    if (!follow) {
      const begun = await this.#wanted([...this.#joiners.values()].flatMap((joiner) => joiner.takeBegun()))
      if (begun.length > 0 && tailLines === undefined) yield batchOf(begun)
      return
    }
    yield* this.#following()
  }

  // ---------------------------------------------------------------- the past

  /** The segments that may hold wanted lines, oldest first; the cursors stand behind them. Others have their turn after that. */
  #pastSegments(tasks: LogTarget[], { from, to }: Wanted): PastSegment[] {
    const found: PastSegment[] = []
    for (const service of this.#services(tasks)) {
      this.#follow(service)
      for (const segment of this.#needs.store.segments(service)) {
        const { number, summary } = segment
        const end = summary.bytes
        this.#cursors.set(service, { segment: number, at: end })
        if (summary.to < from || summary.from > to) continue
        if (tasks.some(({ task }) => task in summary.tasks)) found.push({ segment, end })
      }
    }
    return found
  }

  /** What is asked of blocks. Not of all tasks that are known by then: those that join meanwhile are read when it is their turn. */
  #wantedOf(tasks: LogTarget[]): Wanted {
    const { since, until, context = 0, level } = this.#query
    const starts = tasks.map(({ after }) => after?.at ?? since ?? 0)
    const texts = this.#pattern?.texts ?? []
    return {
      from: (starts.length === 0 ? 0 : Math.min(...starts)) - TIME_SLACK_MS,
      to: (until ?? Number.POSITIVE_INFINITY) + TIME_SLACK_MS,
      tasks: new Set(tasks.map(({ task }) => task)),
      grams: context > 0 || texts.length === 0 ? null : gramsOf(texts),
      levels: context > 0 || level === undefined ? null : levelsFrom(level),
    }
  }

  /** Their blocks, in order. @throws BerthError `too-large` */
  async #blocksOf(past: PastSegment[], wanted: Wanted): Promise<BlockRef[]> {
    const refs: BlockRef[] = []
    const begun: BegunSources = new Map()
    for (const one of past) {
      for (const ref of await this.#blocksIn(one, wanted, begun)) refs.push(ref)
    }
    return refs
  }

  /** @throws BerthError `too-large` when there were too many already */
  async #blocksIn({ segment, end }: PastSegment, wanted: Wanted, begun: BegunSources): Promise<BlockRef[]> {
    if (this.#query.signal.aborted) return []
    // As it is now: meanwhile it may go further, but not back.
    const due = segment.index.covered
    const { refs, covered } = await wantedBlocks(segment.path, end, wanted, begun)
    this.#blocksSeen += refs.length
    if (this.#blocksSeen > BLOCKS_MAX) throw tooMuch()
    if (covered < due) this.#needs.store.indexAgain(segment)
    return refs
  }

  async *#merged(refs: BlockRef[]): AsyncGenerator<LogLine[]> {
    const holding = this.#holding(refs.length)
    for await (const lines of mergeBlocks(refs, this.#files, this.#joiners, holding, this.#query.signal))
      yield await this.#wanted(lines)
  }

  #holding(blocks: number): Holding | null {
    const { context = 0 } = this.#query
    const texts = this.#pattern?.raw ?? null
    if (context > 0 || texts === null) return null
    if (blocks < this.#search.blocksMin) return { texts }
    const plain = texts.map(String)
    return { texts, find: (ref) => this.#search.find(ref, plain) }
  }

  /** The last lines of each task, by reading its blocks from the last backwards until there are enough. */
  async *#tail(past: PastSegment[], wanted: Wanted, tailLines: number): AsyncGenerator<LogLine[]> {
    const all: LogLine[] = []
    const blocks = await this.#tailBlocks(past, wanted)
    for (const task of tailLines === 0 ? [] : wanted.tasks) {
      let lines: LogLine[] = []
      // Long lines have pieces in several blocks, so what was read backwards is read again forwards, from a few blocks before.
      for (let count = 1; ; count *= 2) {
        const some = await blocks.last(task, count)
        lines = []
        const sieve = new LineSieve(this.#query)
        const joiners: Joiners = new Map()
        for (const ref of some) {
          const read = linesIn(await this.#files.read(ref), ref, joiners, null)
          lines.push(...(await this.#sieved(read, sieve)))
          if (lines.length > 2 * tailLines + 1_000) lines = lines.slice(-tailLines)
        }
        if (lines.length >= tailLines || some.length < count || this.#query.signal.aborted) break
      }
      for (const line of lines.slice(-tailLines)) all.push(line)
    }
    all.sort((a, b) => a.at - b.at)
    for (let at = 0; at < all.length; at += 4_096) yield all.slice(at, at + 4_096)
  }

  /**
   * What an index leaves out can be told forwards only, as a block may go on with what one before it began. Where nothing is left
   * out, segments are looked into from the last backwards, and only as far as lines are wanted.
   */
  async #tailBlocks(past: PastSegment[], wanted: Wanted): Promise<BackwardBlocks> {
    if (wanted.grams !== null || wanted.levels !== null) {
      const refs = await this.#blocksOf(past, wanted)
      return new BackwardBlocks([{ holds: () => true, blocks: async () => refs }])
    }
    return new BackwardBlocks(
      past.map((one) => ({
        holds: (task) => task in one.segment.summary.tasks,
        blocks: () => this.#blocksIn(one, wanted, new Map()),
      })),
    )
  }

  // ---------------------------------------------------------------- what comes

  async *#following(): AsyncGenerator<LogBatch> {
    const { signal } = this.#query
    while (!signal.aborted) {
      if (this.#joined.length > 0) {
        const joined = this.#joined
        this.#joined = []
        for await (const lines of this.#merged(this.#pastOf(joined))) if (lines.length > 0) yield batchOf(lines)
      }
      this.#isDirty = false
      if (this.#missing.size > 0) yield { lines: [], dropped: 0, missingNodes: [...this.#missing] }
      this.#missing.clear()
      for await (const lines of this.#merged(this.#news())) {
        if (lines.length > 0) yield batchOf(lines)
        if (signal.aborted) return
      }
      if (this.#isDirty) continue
      if (this.#goneAt !== null && Date.now() - this.#goneAt >= LAST_LINES_MS) return
      const isQuiet = await this.#something(this.#hasBegun() || this.#goneAt !== null ? BEGUN_LINE_MS : null)
      if (!isQuiet) continue
      const begun = await this.#wanted([...this.#joiners.values()].flatMap((joiner) => joiner.takeBegun()))
      if (begun.length > 0) yield batchOf(begun)
    }
  }

  /** Of tasks that have just become known, in services whose past is behind the cursor already. */
  #pastOf(joined: LogTarget[]): BlockRef[] {
    const refs: BlockRef[] = []
    for (const service of this.#services(joined)) {
      const cursor = this.#cursors.get(service)
      this.#follow(service)
      if (cursor === undefined) {
        this.#cursors.set(service, { segment: 0, at: 0 })
        continue
      }
      const ids = new Set(joined.map(({ task }) => task))
      for (const { path, number, summary } of this.#needs.store.segments(service)) {
        if (number > cursor.segment || ![...ids].some((id) => id in summary.tasks)) continue
        const end = number === cursor.segment ? cursor.at : summary.bytes
        refs.push(...refsIn(path, 0, end).filter(({ head }) => ids.has(head.task)))
      }
    }
    return refs
  }

  #news(): BlockRef[] {
    const refs: BlockRef[] = []
    for (const [service, cursor] of this.#cursors) {
      for (const { path, number, summary } of this.#needs.store.segments(service)) {
        if (number < cursor.segment) continue
        const from = number === cursor.segment ? cursor.at : 0
        cursor.segment = number
        cursor.at = summary.bytes
        if (from >= summary.bytes) continue
        refs.push(...refsIn(path, from, summary.bytes).filter(({ head }) => this.#targets.has(head.task)))
        if (refs.length >= NEWS_BLOCKS) {
          this.#isDirty = true
          return refs
        }
      }
    }
    return refs
  }

  /** True: nothing has happened within `limitMs`. */
  #something(limitMs: number | null): Promise<boolean> {
    if (this.#isDirty || this.#query.signal.aborted) return Promise.resolve(false)
    return new Promise((resolve) => {
      const timer = limitMs === null ? undefined : setTimeout(() => end(true), limitMs)
      const end = (isQuiet: boolean) => {
        clearTimeout(timer)
        this.#wake = null
        resolve(isQuiet)
      }
      this.#wake = () => end(false)
    })
  }

  readonly #look = (): void => {
    this.#isDirty = true
    this.#wake?.()
  }

  #hasBegun(): boolean {
    for (const joiner of this.#joiners.values()) if (!joiner.isEmpty) return true
    return false
  }

  // ---------------------------------------------------------------- tasks

  #nodeClosed(node: string): void {
    if (![...this.#targets.values()].some((target) => target.node === node)) return
    this.#missing.add(node)
    this.#look()
  }

  #add({ task, node, after }: { task: string; node: string; after?: LogPosition }): void {
    this.#targets.set(task, { node, isHad: after === undefined ? null : passOver(after) })
  }

  #retarget(targets: LogTarget[] | null): void {
    this.#goneAt = targets === null ? (this.#goneAt ?? Date.now()) : null
    for (const target of targets ?? []) {
      if (this.#targets.has(target.task)) continue
      this.#add(target)
      this.#joined.push(target)
    }
    this.#look()
  }

  #services(tasks: LogTarget[]): Set<string> {
    return new Set(tasks.map(({ task }) => this.#needs.serviceOf(task)).filter((service) => service !== null))
  }

  #follow(service: string): void {
    if (!this.#query.follow || this.#followed.has(service)) return
    this.#followed.set(service, this.#needs.store.follow(service, this.#look))
    if (!this.#cursors.has(service) && this.#needs.store.segments(service).length === 0) {
      this.#cursors.set(service, { segment: 0, at: 0 })
    }
  }

  // ---------------------------------------------------------------- lines

  #wanted(lines: LogLine[]): Promise<LogLine[]> {
    return this.#sieved(lines, this.#sieve)
  }

  async #sieved(lines: LogLine[], sieve: LineSieve): Promise<LogLine[]> {
    const own = lines.filter(({ task, at }) => !(this.#targets.get(task)?.isHad?.(at) ?? false))
    const found = this.#pattern && own.length > 0 ? await this.#pattern.find(own.map(({ text }) => text)) : null
    return sieve.sieve(own, found)
  }
}

/** A slow reader takes what has come in pieces. */
const NEWS_BLOCKS = 64

function refsIn(path: string, from: number, to: number): BlockRef[] {
  return recordsFrom(path, from, to).map(({ head, bytesAt }) => ({ path, head, bytesAt, facts: null }))
}

const batchOf = (lines: LogLine[]): LogBatch => ({ lines, dropped: 0, missingNodes: [] })

function tooMuch(): BerthError {
  const message = `more than ${BLOCKS_MAX} blocks of lines are asked for: narrow it with --since, --until or --tail`
  return new BerthError('too-large', message)
}
