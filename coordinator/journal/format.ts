/**
 * How a recording is written down: segments, each a line of JSON (the header), then frames. The first frame of a segment is the
 * whole picture, the others are what happened since, in order; so any segment can be replayed without those before it.
 *
 *   header   {"berth":"recording","format":1,…}\n
 *   frame    length of the body (u32), its CRC-32 (u32), both big-endian, then the body: zstd of V8's structured clone
 *
 * A file may hold several segments one after the other. What a crash has torn off at the end of one is left out when it is read;
 * a file that ends so was cut off or damaged afterwards, and says by how much (`unreadableEnd`).
 */
import { promisify } from 'node:util'
import { deserialize, serialize } from 'node:v8'
import { crc32, zstdCompress, zstdDecompressSync } from 'node:zlib'
import { BerthError } from '../../shared/errors.ts'
import type { Marks } from '../decide/marks.ts'
import type { DecideSettings } from '../decide/settings.ts'
import { rebuildIndexes } from '../store/indexes.ts'
import { emptyWorld } from '../store/records.ts'
import type { World, WorldValue } from '../world.ts'

/** Raised whenever an older Berth could not replay it, or this one an older recording. */
export const FORMAT = 3
/** A frame that says it is longer is not one. */
export const FRAME_BYTES_MAX = 1 << 30
const HEADER_BYTES_MAX = 4096

export type SegmentHeader = {
  berth: 'recording'
  format: number
  /** Of the Berth that wrote it: decisions are reproduced only by the code that made them. */
  version: string
  cluster: string
  startedAt: number
  /** Whether its entries go on where those of the segment before end, with nothing missing between. */
  follows: boolean
}

/** Where a segment begins. */
export type Snapshot = { world: World; marks: Marks; settings: DecideSettings }

/** A value that was applied, or the beginning of a beat: the decisions that follow it are that beat's. */
export type Entry = WorldValue | { beat: { now: number; stalls: DecideSettings['stalls'] } }

/** `entries` are read as they are asked for, and before the next segment is: a recording may be larger than memory is. */
export type Segment = { header: SegmentHeader; snapshot: Snapshot; entries: Iterable<Entry> }

const compress = promisify(zstdCompress)

export function encodeHeader(header: SegmentHeader): Buffer {
  return Buffer.from(`${JSON.stringify(header)}\n`)
}

/** The value is copied before this returns; compressing goes on beside the event loop. */
export function encodeFrame(value: Entry[] | Buffer): Promise<Buffer> {
  return frameOf(Buffer.isBuffer(value) ? value : serialize(value))
}

/** Of the World only what is not derived: the rest is made anew when it is read. */
export function serializeSnapshot({ world, marks, settings }: Snapshot): Buffer {
  const { tasksByService: _s, tasksByNode: _n, tasksWaiting: _w, ...rest } = world
  const { tasksStopping: _t, tasksFailing: _f, servicesInMotion: _m, servicesFailing: _g, tally: _c, ...kept } = rest
  return serialize({ world: kept, marks, settings })
}

async function frameOf(plain: Buffer): Promise<Buffer> {
  const body = await compress(plain)
  const head = Buffer.alloc(8)
  head.writeUInt32BE(body.length, 0)
  head.writeUInt32BE(crc32(body), 4)
  return Buffer.concat([head, body])
}

// ---------------------------------------------------------------- and back

/**
 * The segments of a recording in their order, one at a time.
 * @throws BerthError `invalid-file` when it is none, or of another version of Berth's recordings
 */
export function* readSegments(bytes: Buffer, name: string): Generator<Segment> {
  let at = 0
  let isTorn = false
  while (at < bytes.length) {
    const header = headerAt(bytes, at, name)
    at = header.end
    const first = frameAt(bytes, at)
    // Torn off right behind its header: nothing of this segment is known.
    if (first === null) return
    at = first.end
    const snapshot = snapshotFrom(first.value)
    const frames = { at: first.end }
    const follows = header.value.follows && !isTorn
    yield { header: { ...header.value, follows }, snapshot, entries: entriesFrom(bytes, frames) }
    // What was not asked for is passed over without being read.
    const end = endOfFrames(bytes, frames.at)
    at = nextHeader(bytes, end)
    isTorn = at !== end
  }
}

/** So many bytes at the end of the recording are no intact part of it. @throws BerthError as `readSegments` does */
export function unreadableEnd(bytes: Buffer, name: string): number {
  let end = 0
  for (let at = 0; at < bytes.length; at = nextHeader(bytes, end))
    end = endOfFrames(bytes, headerAt(bytes, at, name).end)
  return bytes.length - end
}

function* entriesFrom(bytes: Buffer, frames: { at: number }): Generator<Entry> {
  for (let next = frameAt(bytes, frames.at); next !== null; next = frameAt(bytes, frames.at)) {
    frames.at = next.end
    yield* next.value as Entry[]
  }
}

function headerAt(bytes: Buffer, at: number, name: string): { value: SegmentHeader; end: number } {
  const end = bytes.subarray(at, at + HEADER_BYTES_MAX).indexOf('\n')
  const value = end < 0 ? null : parseHeader(bytes.toString('utf8', at, at + end))
  if (value === null) {
    throw new BerthError('invalid-file', `${name} is not a recording of Berth; \`berth record\` makes one`)
  }
  if (value.format !== FORMAT) {
    throw new BerthError(
      'invalid-file',
      `${name} is a recording of format ${value.format}, made by Berth ${value.version}; this Berth replays format ${FORMAT}. Replay it with the Berth that made it`,
      { details: { format: value.format, version: value.version } },
    )
  }
  return { value, end: at + end + 1 }
}

function parseHeader(line: string): SegmentHeader | null {
  try {
    const value = JSON.parse(line) as SegmentHeader
    return value?.berth === 'recording' ? value : null
  } catch {
    return null
  }
}

const HEADER_START = Buffer.from('{"berth":"recording"')

function nextHeader(bytes: Buffer, at: number): number {
  const found = bytes.indexOf(HEADER_START, at)
  return found < 0 ? bytes.length : found
}

function endOfFrames(bytes: Buffer, start: number): number {
  let at = start
  for (let body = bodyAt(bytes, at); body !== null; body = bodyAt(bytes, at)) at += 8 + body.length
  return at
}

function frameAt(bytes: Buffer, at: number): { value: unknown; end: number } | null {
  const body = bodyAt(bytes, at)
  return body && { value: deserialize(zstdDecompressSync(body)), end: at + 8 + body.length }
}

/** Null where no intact frame stands. */
function bodyAt(bytes: Buffer, at: number): Buffer | null {
  if (at + 8 > bytes.length) return null
  const length = bytes.readUInt32BE(at)
  const end = at + 8 + length
  if (length > FRAME_BYTES_MAX || end > bytes.length) return null
  const body = bytes.subarray(at + 8, end)
  if (crc32(body) !== bytes.readUInt32BE(at + 4)) return null
  return body
}

function snapshotFrom(value: unknown): Snapshot {
  const { world: kept, marks, settings } = value as Snapshot
  const world: World = { ...emptyWorld(kept.cluster), ...kept }
  rebuildIndexes(world)
  return { world, marks, settings }
}
