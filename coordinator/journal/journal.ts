/**
 * The journal: everything that was applied to the World, in order, and when each beat looked at it, in a bounded ring of
 * segment files. `berth record` hands it out, `berth replay` judges it again.
 *
 * Nobody waits for it: values are noted as they come and written a little later, so a crash loses its last second. What it
 * cannot keep up with, or a World too large to be copied without making agents wait, leaves a gap: the next segment begins
 * with a whole picture again. The gap is said once and counted.
 */
import { createReadStream, mkdirSync, readdirSync, rmSync, statSync } from 'node:fs'
import { appendFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock, Timer } from '../../shared/clock.ts'
import type { Log } from '../../shared/log.ts'
import type { Marks } from '../decide/marks.ts'
import type { DecideSettings } from '../decide/settings.ts'
import type { World, WorldValue } from '../world.ts'
import { type Entry, encodeFrame, encodeHeader, FORMAT, serializeSnapshot } from './format.ts'

/** What the loop tells. */
export type Recorder = {
  /** Before the value is applied to this world, with what is marked at that moment. */
  value(value: WorldValue, world: World, marks: Marks): void
  /** A beat begins; the decisions told next are its own. */
  beat(now: number, settings: DecideSettings, world: World, marks: Marks): void
  /** The world was replaced by another one: what comes next does not follow from what was told. */
  lost(): void
}

export type Journal = Recorder & {
  /** All that is kept, oldest first; `bytes` is what the stream will give. Segments that begin later are not part of it. */
  read(): Promise<{ bytes: number; stream: AsyncIterable<Uint8Array> }>
  stats(): { bytes: number; gaps: number }
  /** Writes down what was noted. */
  close(): Promise<void>
}

export type JournalOptions = {
  dir: string
  /** All segments together. */
  bytesMax: number
  version: string
  clock: Clock
  log: Log
}

/** Of the whole each; the oldest goes when a new one would be too much. */
const SEGMENTS = 8
const FLUSH_MS = 1_000
/** So many are copied in one go: a few milliseconds. */
const FRAME_ENTRIES = 1_000
/** More wait only when the disk does not keep up. */
const ENTRIES_WAITING_MAX = 50_000
/** Copying the picture of a larger world would make agents wait for too long. */
const SNAPSHOT_TASKS_MAX = 20_000
/** After a gap or a failed write: how long nothing is noted. */
const PAUSE_MS = 10_000

export function openJournal(options: JournalOptions): Journal {
  mkdirSync(options.dir, { recursive: true, mode: 0o700 })
  return new FileJournal(options)
}

class FileJournal implements Journal {
  private readonly options: JournalOptions
  /** Oldest first; the last one is being written once `isOpen`. */
  private segments: { path: string; bytes: number }[]
  private isOpen = false
  /** The next beat begins another segment. Until then values go on into this one, so that nothing is missing between. */
  private isFull = false
  private waiting: Entry[] = []
  /** Copies of what is to be written first: the header and picture of the open segment. */
  private head: Buffer[] = []
  private writing: Promise<void> = Promise.resolve()
  private timer: Timer | null = null
  private pausedUntil = 0
  private gaps = 0
  private saidWhy = ''

  constructor(options: JournalOptions) {
    this.options = options
    this.segments = segmentsIn(options.dir)
  }

  value(value: WorldValue, world: World, marks: Marks): void {
    if (this.isReady(world, marks, null)) this.note(value)
  }

  beat(now: number, settings: DecideSettings, world: World, marks: Marks): void {
    if (this.isOpen && this.isFull) {
      void this.flush()
      this.begin(world, marks, settings, true)
    }
    if (this.isReady(world, marks, settings)) this.note({ beat: { now, stalls: settings.stalls } })
  }

  lost(): void {
    if (this.isOpen) this.gap('the world was read again from the store')
    this.pausedUntil = 0
  }

  async read(): Promise<{ bytes: number; stream: AsyncIterable<Uint8Array> }> {
    await this.flush()
    const parts = this.segments.map((segment) => ({ ...segment }))
    return { bytes: parts.reduce((sum, { bytes }) => sum + bytes, 0), stream: readAll(parts) }
  }

  stats(): { bytes: number; gaps: number } {
    return { bytes: this.segments.reduce((sum, { bytes }) => sum + bytes, 0), gaps: this.gaps }
  }

  async close(): Promise<void> {
    await this.flush()
  }

  // ---------------------------------------------------------------- noting

  /** A segment begins with a beat: only there are the settings known, and nothing of a beat is missing. */
  private isReady(world: World, marks: Marks, settings: DecideSettings | null): boolean {
    if (this.isOpen) return true
    if (settings === null || this.options.clock.now() < this.pausedUntil) return false
    this.begin(world, marks, settings, false)
    return this.isOpen
  }

  private begin(world: World, marks: Marks, settings: DecideSettings, follows: boolean): void {
    if (world.tasks.size <= SNAPSHOT_TASKS_MAX) this.open(world, marks, settings, follows)
    else this.gap(`a world of ${world.tasks.size} tasks is not recorded; at most ${SNAPSHOT_TASKS_MAX} are`)
  }

  private open(world: World, marks: Marks, settings: DecideSettings, follows: boolean): void {
    const { dir, version, clock } = this.options
    const number = Number(/(\d+)\.recording$/.exec(this.segments.at(-1)?.path ?? '')?.[1] ?? 0) + 1
    const startedAt = clock.now()
    this.segments.push({ path: join(dir, `${String(number).padStart(10, '0')}.recording`), bytes: 0 })
    this.head = [
      encodeHeader({ berth: 'recording', format: FORMAT, version, cluster: world.cluster, startedAt, follows }),
      serializeSnapshot({ world, marks, settings }),
    ]
    this.isOpen = true
    this.isFull = false
    this.dropOldest()
  }

  private note(entry: Entry): void {
    this.waiting.push(entry)
    if (this.waiting.length >= ENTRIES_WAITING_MAX) this.gap('the disk does not keep up')
    else if (this.waiting.length % FRAME_ENTRIES === 0) void this.flush()
    else this.timer ??= this.options.clock.after(FLUSH_MS, () => void this.flush())
  }

  private gap(why: string): void {
    this.isOpen = false
    this.waiting = []
    this.head = []
    this.gaps += 1
    this.pausedUntil = this.options.clock.now() + PAUSE_MS
    if (why !== this.saidWhy) this.options.log.warn({ dir: this.options.dir }, `the journal has a gap: ${why}`)
    this.saidWhy = why
  }

  // ---------------------------------------------------------------- writing

  private flush(): Promise<void> {
    this.timer?.stop()
    this.timer = null
    const segment = this.segments.at(-1)
    if (!this.isOpen || !segment) return this.writing
    const [header, snapshot] = this.head
    const entries = this.waiting
    this.head = []
    this.waiting = []
    const frames: Promise<Buffer>[] = []
    if (snapshot) frames.push(encodeFrame(snapshot))
    for (let at = 0; at < entries.length; at += FRAME_ENTRIES) {
      frames.push(encodeFrame(entries.slice(at, at + FRAME_ENTRIES)))
    }
    if (frames.length === 0) return this.writing
    this.writing = this.writing.then(() => this.write(segment, header, frames))
    return this.writing
  }

  private async write(
    segment: { path: string; bytes: number },
    header: Buffer | undefined,
    frames: Promise<Buffer>[],
  ): Promise<void> {
    try {
      const bytes = Buffer.concat([...(header ? [header] : []), ...(await Promise.all(frames))])
      await appendFile(segment.path, bytes, { mode: 0o600 })
      segment.bytes += bytes.length
    } catch (error) {
      this.gap(`it cannot be written: ${(error as Error).message}`)
      return
    }
    if (segment.bytes >= this.options.bytesMax / SEGMENTS && segment === this.segments.at(-1)) this.isFull = true
  }

  private dropOldest(): void {
    const { bytesMax } = this.options
    while (this.segments.length > 1 && (this.stats().bytes > bytesMax || this.segments.length > SEGMENTS + 1)) {
      const [oldest] = this.segments.splice(0, 1)
      if (oldest) rmSync(oldest.path, { force: true })
    }
  }
}

function segmentsIn(dir: string): { path: string; bytes: number }[] {
  const names = readdirSync(dir).filter((name) => /^\d{10}\.recording$/.test(name))
  return names.sort().map((name) => ({ path: join(dir, name), bytes: statSync(join(dir, name)).size }))
}

/** Up to the sizes known now: what is being appended has no end yet. A segment that has been dropped meanwhile is left out. */
async function* readAll(segments: { path: string; bytes: number }[]): AsyncIterable<Uint8Array> {
  for (const { path, bytes } of segments) {
    if (bytes === 0) continue
    try {
      yield* createReadStream(path, { end: bytes - 1 })
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    }
  }
}
