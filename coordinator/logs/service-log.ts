/** The log of one service: its segments, oldest first, the last of which is written to. */
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { type FileHandle, open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { isLeftOver, syncFolder, writePrivateFile } from '../../shared/private-file.ts'
import type { LogPlace } from '../../shared/wire/log-block.ts'
import type { Indexed } from './index-segment.ts'
import { encodeRecord, type KeptHead, readRecords } from './segment.ts'
import { indexPathOf } from './segment-index.ts'

export type ContainerPlace = LogPlace & { task: string; node: string; at: number }
type TaskSpan = { name: string; node: string; from: number; to: number }

/** What is known of a segment without opening it; of a sealed one it stands beside it in a file. */
export type Summary = {
  bytes: number
  rawBytes: number
  lines: number
  from: number
  to: number
  tasks: Record<string, TaskSpan>
  places: Record<string, ContainerPlace>
}

/** `index`: how far the one beside it goes; see segment-index.ts. */
export type Segment = { number: number; path: string; sealed: boolean; summary: Summary; index: Indexed }

/** Sealed at this size: what a start must look through of each service, and what retention takes at a time. */
export const SEGMENT_BYTES_MAX = 16 * 1024 * 1024

export class ServiceLog {
  readonly service: string
  readonly #dir: string
  readonly segments: Segment[]
  readonly #grown: (segment: Segment) => void
  /** Never given twice while we live, as readers hold places by it. */
  #lastNumber: number
  #handle: FileHandle | null = null
  /** What is asked of the files is done in turn. */
  #turn: Promise<unknown> = Promise.resolve()

  /**
   * Opens what is there; the tail that a crash left half-written is cut off when it is written to next. `grown` is told of each
   * segment that was written to, or is not going to be.
   */
  constructor(dir: string, service: string, grown: (segment: Segment) => void) {
    this.service = service
    this.#dir = dir
    this.#grown = grown
    mkdirSync(dir, { recursive: true, mode: 0o700 })
    const names = readdirSync(dir)
    for (const name of names.filter(isLeftOver)) rmSync(join(dir, name), { force: true })
    const numbers = names.flatMap((name) => /^(\d{8})\.log$/.exec(name)?.[1] ?? [])
    // Of segments that were dropped when a crash came.
    for (const name of names) {
      const number = /^(\d{8})\.(?:json|idx)$/.exec(name)?.[1]
      if (number !== undefined && !numbers.includes(number)) rmSync(join(dir, name), { force: true })
    }
    this.segments = numbers.sort().map((number) => openSegment(join(dir, `${number}.log`), Number(number)))
    this.#lastNumber = this.segments.at(-1)?.number ?? 0
  }

  get bytes(): number {
    return this.segments.reduce((sum, { summary, index }) => sum + summary.bytes + index.length, 0)
  }

  /** Durable once it resolves. @throws what the disk says; nothing is kept of it then */
  append(blocks: { head: KeptHead; bytes: Uint8Array }[]): Promise<void> {
    return this.#inTurn(() => this.#append(blocks))
  }

  async #append(blocks: { head: KeptHead; bytes: Uint8Array }[]): Promise<void> {
    const segment = await this.#writable()
    const before = segment.summary.bytes
    const parts = blocks.flatMap(({ head, bytes }) => encodeRecord(head, bytes))
    try {
      await writeAll(this.#handle!, parts, before)
      await this.#handle!.datasync()
    } catch (error) {
      // What was written of it is written over by the next, or cut off by the next start.
      await this.#close()
      throw error
    }
    let length = 0
    for (const part of parts) length += part.length
    segment.summary.bytes += length
    for (const { head } of blocks) note(segment.summary, head)
    this.#grown(segment)
  }

  async #writable(): Promise<Segment> {
    let last = this.segments.at(-1)
    if (last !== undefined && !last.sealed && last.summary.bytes >= SEGMENT_BYTES_MAX) await this.#seal(last)
    last = this.segments.at(-1)
    if (last === undefined || last.sealed) {
      const number = this.#lastNumber + 1
      const path = join(this.#dir, `${String(number).padStart(8, '0')}.log`)
      last = { number, path, sealed: false, summary: emptySummary(), index: { covered: 0, length: 0 } }
      this.#handle = await open(path, 'w', 0o600)
      await syncFolder(this.#dir)
      this.#lastNumber = number
      this.segments.push(last)
    }
    if (this.#handle === null) {
      this.#handle = await open(last.path, 'r+')
      await this.#handle.truncate(last.summary.bytes)
    }
    return last
  }

  /** No more is written to it; what is known of it is kept beside it. */
  async #seal(last: Segment): Promise<void> {
    await this.#close()
    await writePrivateFile(summaryPath(last.path), JSON.stringify(last.summary))
    last.sealed = true
    this.#grown(last)
  }

  /** Takes away this segment, if it is the oldest still and nothing was written to it since. False: it stays. */
  drop(segment: Segment): Promise<boolean> {
    const { bytes } = segment.summary
    return this.#inTurn(async () => {
      if (this.segments[0] !== segment || segment.summary.bytes !== bytes) return false
      if (!segment.sealed) await this.#close()
      this.segments.shift()
      await rm(segment.path, { force: true })
      await rm(summaryPath(segment.path), { force: true })
      await rm(indexPathOf(segment.path), { force: true })
      return true
    })
  }

  close(): Promise<void> {
    return this.#inTurn(() => this.#close())
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(work)
    this.#turn = done.catch(() => {})
    return done
  }

  async #close(): Promise<void> {
    const handle = this.#handle
    this.#handle = null
    await handle?.close().catch(() => {})
  }
}

function openSegment(path: string, number: number): Segment {
  // How far it goes is looked at by whoever writes it on.
  const index = { covered: 0, length: statSync(indexPathOf(path), { throwIfNoEntry: false })?.size ?? 0 }
  const known = readSummary(path)
  if (known !== null) return { number, path, sealed: true, summary: known, index }
  const summary = emptySummary()
  for (const block of readRecords(path, 0, Number.POSITIVE_INFINITY, true)) {
    summary.bytes = block.endsAt
    note(summary, block.head)
  }
  return { number, path, sealed: false, summary, index }
}

/** Null: it is not sealed, or what stands there does not fit the file; then the file itself tells. */
function readSummary(path: string): Summary | null {
  try {
    const summary = JSON.parse(readFileSync(summaryPath(path), 'utf8')) as Summary
    return summary.bytes <= statSync(path).size ? summary : null
  } catch {
    return null
  }
}

function note(summary: Summary, head: KeptHead): void {
  const { task, name, node, from, to, container, file, end } = head
  summary.rawBytes += head.end - head.offset
  summary.lines += head.lines
  summary.from = Math.min(summary.from, from)
  summary.to = Math.max(summary.to, to)
  const span = summary.tasks[task]
  summary.tasks[task] = { name, node, from: Math.min(span?.from ?? from, from), to: Math.max(span?.to ?? to, to) }
  summary.places[container] = { file, offset: end, task, node, at: to }
}

function emptySummary(): Summary {
  return { bytes: 0, rawBytes: 0, lines: 0, from: Number.MAX_SAFE_INTEGER, to: 0, tasks: {}, places: {} }
}

const summaryPath = (path: string) => path.replace(/\.log$/, '.json')

async function writeAll(handle: FileHandle, parts: Buffer[], at: number): Promise<void> {
  for (let start = 0, position = at; start < parts.length; start += 900) {
    const some = parts.slice(start, start + 900)
    const length = some.reduce((sum, part) => sum + part.length, 0)
    const { bytesWritten } = await handle.writev(some, position)
    if (bytesWritten < length) {
      // The disk took a part: the rest says why.
      const rest = Buffer.concat(some).subarray(bytesWritten)
      let done = 0
      while (done < rest.length)
        done += (await handle.write(rest, done, rest.length - done, position + bytesWritten + done)).bytesWritten
    }
    position += length
  }
}
