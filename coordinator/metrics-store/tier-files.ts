/**
 * The files of one tier: frames appended to segments, the oldest segment removed when it is too old or all of them too large. A
 * frame that a crash cut off is found by its checksum and cut away at the next start.
 */
import { closeSync, fstatSync, ftruncateSync, mkdirSync, openSync, readdirSync, readSync, rmSync } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { join } from 'node:path'
import {
  decodeHeader,
  type Extent,
  extentsOf,
  type FrameHeader,
  HEADER_BYTES,
  indexLength,
  isWhole,
  seriesOf,
} from './frame.ts'

/** Of the whole each, in time and in size, so that what is removed at once is a small part. */
const SEGMENTS = 12
/** What lies between two wanted blocks is read too when it is less: a read costs more than the bytes. */
const GAP_BYTES_MAX = 8 * 1024
const ENDING = '.frames'

type Frame = FrameHeader & { at: number }
type Segment = { path: string; bytes: number; frames: Frame[] }

export type TierFilesOptions = { dir: string; keepSeconds: number; bytesMax: number }

export class TierFiles {
  readonly #options: TierFilesOptions
  /** Oldest first; written to is the last one. */
  readonly #segments: Segment[]

  /** @throws when the folder cannot be read or written */
  constructor(options: TierFilesOptions) {
    this.#options = options
    mkdirSync(options.dir, { recursive: true, mode: 0o700 })
    this.#segments = readdirSync(options.dir)
      .filter((name) => name.endsWith(ENDING))
      .sort()
      .map((name) => openSegment(join(options.dir, name)))
      .filter((segment) => segment !== null)
  }

  get bytes(): number {
    return this.#segments.reduce((sum, { bytes }) => sum + bytes, 0)
  }

  /** The first second that no frame has anything of any more; 0: there is none. */
  get to(): number {
    return Math.max(0, ...this.#segments.flatMap(({ frames }) => frames.map(({ to }) => to)))
  }

  /** The first second that is kept; null: nothing is. */
  get from(): number | null {
    return this.#segments[0]?.frames[0]?.from ?? null
  }

  /** Rejects when it could not be written; then nothing of it counts. One at a time. */
  async append(frame: Buffer): Promise<void> {
    const header = decodeHeader(frame)
    if (header === null) throw new Error('what was to be appended is no frame')
    const segment = this.#segmentFor(header)
    const file = await open(segment.path, 'a', 0o600)
    try {
      await file.appendFile(frame)
      await file.datasync()
      segment.frames.push({ ...header, at: segment.bytes })
      segment.bytes += frame.length
    } catch (error) {
      // Half a frame would hide those that come after it.
      await file.truncate(segment.bytes).catch(() => {})
      throw error
    } finally {
      await file.close()
    }
    this.#removeOld(header.to)
  }

  /** Calls with the block of each of these series (ascending) that has points of the time, frame by frame. */
  async read(
    wanted: readonly number[] | 'all',
    from: number,
    to: number,
    visit: (series: number, block: Uint8Array) => void,
    frameBegins: (from: number) => void = () => {},
  ): Promise<void> {
    for (const { path, frames } of [...this.#segments]) {
      const inside = frames.filter((frame) => frame.from < to && frame.to > from)
      if (inside.length === 0) continue
      const file = await open(path, 'r').catch(() => null)
      // It became too old just now.
      if (file === null) continue
      try {
        for (const frame of inside) {
          frameBegins(frame.from)
          await readBlocks(file, frame, wanted, visit)
        }
      } finally {
        await file.close()
      }
    }
  }

  /** Every series of which there is a point. */
  async series(): Promise<Set<number>> {
    const all = new Set<number>()
    for (const { path, frames } of [...this.#segments]) {
      const file = await open(path, 'r').catch(() => null)
      if (file === null) continue
      try {
        for (const frame of frames) {
          for (const series of seriesOf(await readIndex(file, frame), frame.series)) all.add(series)
        }
      } finally {
        await file.close()
      }
    }
    return all
  }

  #segmentFor({ from, bytes }: FrameHeader): Segment {
    const { dir, keepSeconds, bytesMax } = this.#options
    const last = this.#segments.at(-1)
    const isOld = last?.frames[0] !== undefined && from - last.frames[0].from >= keepSeconds / SEGMENTS
    if (last !== undefined && !isOld && last.bytes + bytes <= bytesMax / SEGMENTS) return last
    const before = Number(last?.path.slice(-ENDING.length - 12, -ENDING.length) ?? 0)
    const path = join(dir, `${String(before + 1).padStart(12, '0')}${ENDING}`)
    const segment = { path, bytes: 0, frames: [] }
    this.#segments.push(segment)
    return segment
  }

  /** The one that is written to stays, whatever its size. */
  #removeOld(now: number): void {
    const { keepSeconds, bytesMax } = this.#options
    while (this.#segments.length > 1) {
      const [oldest] = this.#segments as [Segment]
      const isOld = (oldest.frames.at(-1)?.to ?? 0) <= now - keepSeconds
      if (!isOld && this.bytes <= bytesMax) return
      rmSync(oldest.path, { force: true })
      this.#segments.shift()
    }
  }
}

/** Null: nothing of it can be read, and it is removed. What stands behind the last whole frame is cut away. */
function openSegment(path: string): Segment | null {
  const file = openSync(path, 'r+')
  try {
    const { size } = fstatSync(file)
    const frames = framesIn(file, size)
    const last = frames.at(-1)
    if (last !== undefined && !isWhole(readNow(file, last.at, last.bytes), last)) frames.pop()
    const end = frames.at(-1)
    const bytes = end === undefined ? 0 : end.at + end.bytes
    if (bytes < size) ftruncateSync(file, bytes)
    if (bytes > 0) return { path, bytes, frames }
  } finally {
    closeSync(file)
  }
  rmSync(path, { force: true })
  return null
}

function framesIn(file: number, size: number): Frame[] {
  const frames: Frame[] = []
  let at = 0
  while (at + HEADER_BYTES <= size) {
    const header = decodeHeader(readNow(file, at, HEADER_BYTES))
    if (header === null || at + header.bytes > size) break
    frames.push({ ...header, at })
    at += header.bytes
  }
  return frames
}

function readNow(file: number, at: number, length: number): Buffer {
  const bytes = Buffer.alloc(length)
  readSync(file, bytes, 0, length, at)
  return bytes
}

async function readBlocks(
  file: FileHandle,
  frame: Frame,
  wanted: readonly number[] | 'all',
  visit: (series: number, block: Uint8Array) => void,
): Promise<void> {
  const index = await readIndex(file, frame)
  const extents = extentsOf(index, frame, wanted === 'all' ? seriesOf(index, frame.series) : wanted)
  for (const run of runsOf(extents)) {
    const begin = run[0]!.begin
    const bytes = Buffer.allocUnsafe(run.at(-1)!.end - begin)
    await file.read(bytes, 0, bytes.length, frame.at + begin)
    for (const extent of run) visit(extent.series, bytes.subarray(extent.begin - begin, extent.end - begin))
  }
}

async function readIndex(file: FileHandle, frame: Frame): Promise<Buffer> {
  const index = Buffer.alloc(indexLength(frame.series))
  await file.read(index, 0, index.length, frame.at + HEADER_BYTES)
  return index
}

/** Neighbours that are read in one go. */
function runsOf(extents: Extent[]): Extent[][] {
  const runs: Extent[][] = []
  for (const extent of extents) {
    const run = runs.at(-1)
    if (run !== undefined && extent.begin - run.at(-1)!.end <= GAP_BYTES_MAX) run.push(extent)
    else runs.push([extent])
  }
  return runs
}
