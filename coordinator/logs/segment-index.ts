/**
 * The index of a segment: a file beside it that only grows, a record for each part of it, by which a reader leaves out what it
 * does not want without unpacking it. It holds nothing that the segment does not tell: what is missing or damaged is as if it
 * were not there, so that it is never flushed, and made anew.
 *
 * A part is some blocks in a row, of up to 512 KiB of lines together: mostly one, or very many small ones. A record is a head of
 * fixed length, the filter, the heads of the blocks as JSON (packed where they are many), and its own length once more, so that
 * the last one is found from the end. A sum is over all of it. Numbers are little endian.
 */
import { closeSync, fstatSync, openSync, readFileSync, readSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { crc32, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import type { BlockFacts } from './block-facts.ts'
import type { KeptHead } from './segment.ts'

export type IndexedBlock = { head: KeptHead; bytesAt: number; facts: BlockFacts }

export type IndexPart = {
  /** Which bytes of the segment it is of. */
  at: number
  endsAt: number
  /** Times of its lines, epoch ms. */
  from: number
  to: number
  isWhole: boolean
  /** As bits; see BlockFacts. */
  levels: number
  /** Where the segment's last record of it begins, and that record's sum: whether it is of this segment. */
  lastAt: number
  lastSum: number
  filter: Uint8Array
  blocks(): IndexedBlock[]
}

const MARK = 0x31584942
const HEAD_BYTES = 72
const END_BYTES = 8
/** Of one record: filter and heads of 512 KiB of lines. */
const RECORD_BYTES_MAX = 8 * 1024 * 1024
/** Heads of one block are shorter; packing costs more time than it saves room. */
const PACKED_BYTES_MIN = 2 * 1024
const HEADS_BYTES_MAX = 16 * 1024 * 1024
/** What the segment's record says of its own sum; see segment.ts. */
const SUM_AT = 12

export const indexPathOf = (segmentPath: string): string => segmentPath.replace(/\.log$/, '.idx')

export function encodePart(part: Omit<IndexPart, 'blocks'>, blocks: IndexedBlock[]): Buffer {
  const text = Buffer.from(JSON.stringify(blocks))
  const heads = text.length < PACKED_BYTES_MIN ? text : zstdCompressSync(text)
  const bytes = Buffer.alloc(HEAD_BYTES + part.filter.length + heads.length + END_BYTES)
  bytes.writeUInt32LE(MARK, 0)
  bytes.writeUInt32LE(bytes.length, 8)
  bytes.writeUInt32LE(part.filter.length, 12)
  bytes.writeDoubleLE(part.at, 16)
  bytes.writeDoubleLE(part.endsAt, 24)
  bytes.writeDoubleLE(part.from, 32)
  bytes.writeDoubleLE(part.to, 40)
  bytes.writeDoubleLE(part.lastAt, 48)
  bytes.writeUInt32LE(part.lastSum, 56)
  bytes.writeUInt32LE(part.levels, 60)
  bytes.writeUInt32LE(part.isWhole ? 1 : 0, 64)
  bytes.writeUInt32LE(heads === text ? 0 : 1, 68)
  bytes.set(part.filter, HEAD_BYTES)
  bytes.set(heads, HEAD_BYTES + part.filter.length)
  bytes.writeUInt32LE(bytes.length, bytes.length - END_BYTES)
  bytes.writeUInt32LE(MARK, bytes.length - 4)
  bytes.writeUInt32LE(crc32(bytes.subarray(8)), 4)
  return bytes
}

/** The parts that follow one another from the segment's beginning, until the first that is not whole. */
export function decodeParts(file: Buffer): { parts: IndexPart[]; bytes: number } {
  const parts: IndexPart[] = []
  let bytes = 0
  for (let covered = 0; ; ) {
    const record = recordAt(file, bytes)
    if (record === null) break
    const part = decodePart(record)
    if (part === null || part.at !== covered) break
    parts.push(part)
    covered = part.endsAt
    bytes += record.length
  }
  return { parts, bytes }
}

function recordAt(file: Buffer, at: number): Buffer | null {
  if (at + HEAD_BYTES + END_BYTES > file.length || file.readUInt32LE(at) !== MARK) return null
  const length = file.readUInt32LE(at + 8)
  if (length < HEAD_BYTES + END_BYTES || length > RECORD_BYTES_MAX || at + length > file.length) return null
  const record = file.subarray(at, at + length)
  return crc32(record.subarray(8)) === record.readUInt32LE(4) ? record : null
}

function decodePart(record: Buffer): IndexPart | null {
  const headsAt = HEAD_BYTES + record.readUInt32LE(12)
  const headsEnd = record.length - END_BYTES
  const isPacked = record.readUInt32LE(68) === 1
  if (headsAt > headsEnd) return null
  return {
    at: record.readDoubleLE(16),
    endsAt: record.readDoubleLE(24),
    from: record.readDoubleLE(32),
    to: record.readDoubleLE(40),
    lastAt: record.readDoubleLE(48),
    lastSum: record.readUInt32LE(56),
    levels: record.readUInt32LE(60),
    isWhole: record.readUInt32LE(64) === 1,
    filter: record.subarray(HEAD_BYTES, headsAt),
    blocks() {
      const heads = record.subarray(headsAt, headsEnd)
      const text = isPacked ? zstdDecompressSync(heads, { maxOutputLength: HEADS_BYTES_MAX }) : heads
      return JSON.parse(text.toString()) as IndexedBlock[]
    },
  }
}

/**
 * Parts that are of this segment as it stands, none of which ends behind `end`; and how far the index goes in all. 0: there is none
 * that can be read.
 */
export async function readIndex(segmentPath: string, end: number): Promise<{ parts: IndexPart[]; covered: number }> {
  const none = { parts: [], covered: 0 }
  try {
    const { parts } = decodeParts(await readFile(indexPathOf(segmentPath)))
    const last = parts.at(-1)
    if (last === undefined || !isOf(segmentPath, last)) return none
    return { parts: parts.filter(({ endsAt }) => endsAt <= end), covered: last.endsAt }
  } catch {
    return none
  }
}

/** How far an index goes that is to be gone on with, and how much of its file is good. Mostly its last record alone tells. */
export function goneThrough(segmentPath: string, end: number): { covered: number; length: number } {
  const descriptor = openSync(indexPathOf(segmentPath), 'r')
  try {
    const size = fstatSync(descriptor).size
    const last = lastPart(descriptor, size)
    if (last !== null && last.endsAt <= end && isOf(segmentPath, last)) return { covered: last.endsAt, length: size }
    const { parts, bytes } = decodeParts(readFileSync(descriptor))
    const part = parts.at(-1)
    if (part === undefined || part.endsAt > end || !isOf(segmentPath, part)) return { covered: 0, length: 0 }
    return { covered: part.endsAt, length: bytes }
  } finally {
    closeSync(descriptor)
  }
}

function lastPart(descriptor: number, size: number): IndexPart | null {
  const end = readAt(descriptor, size - END_BYTES, END_BYTES)
  const length = end?.readUInt32LE(0) ?? 0
  if (end?.readUInt32LE(4) !== MARK || length > RECORD_BYTES_MAX) return null
  const bytes = readAt(descriptor, size - length, length)
  const record = bytes && recordAt(bytes, 0)
  return record && decodePart(record)
}

/** A file can be left over of another segment of this number. */
function isOf(segmentPath: string, part: IndexPart): boolean {
  const descriptor = openSync(segmentPath, 'r')
  try {
    return readAt(descriptor, part.lastAt + SUM_AT, 4)?.readUInt32LE(0) === part.lastSum
  } finally {
    closeSync(descriptor)
  }
}

function readAt(descriptor: number, at: number, length: number): Buffer | null {
  if (at < 0) return null
  const bytes = Buffer.alloc(length)
  return readSync(descriptor, bytes, 0, length, at) === length ? bytes : null
}
