/** Writes the index of a segment on, from where it ends. Work for a thread of its own: every line is unpacked and looked at. */
import { closeSync, fstatSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs'
import { zstdDecompressSync } from 'node:zlib'
import { LOG_BLOCK_BYTES_MAX } from '../../shared/wire/log-block.ts'
import { factsOf } from './block-facts.ts'
import { GramSet } from './gram-filter.ts'
import { type KeptBlock, readRecords } from './segment.ts'
import { encodePart, goneThrough, type IndexedBlock, indexPathOf } from './segment-index.ts'

/** Of lines, before they are packed. */
export const PART_BYTES_MAX = LOG_BLOCK_BYTES_MAX
const PART_BLOCKS_MAX = 1024

/** `bytes` of the segment are on the disk; `isSealed`: no more will be, so that the last part may be a small one. */
export type IndexOrder = { path: string; bytes: number; isSealed: boolean }
/** Which bytes of the segment the index goes over now, and its length. */
export type Indexed = { covered: number; length: number }

const grams = new GramSet()

/** @throws what the disk says; what was written by then is gone on from */
export function indexSegment({ path, bytes, isSealed }: IndexOrder, partBytesMax = PART_BYTES_MAX): Indexed {
  const segment = openSync(path, 'r')
  const index = openSync(indexPathOf(path), 'a', 0o600)
  try {
    let { covered, length } = goneThrough(path, bytes)
    if (length < fstatSync(index).size) ftruncateSync(index, length)
    for (const blocks of partsIn(readRecords(path, covered, bytes), isSealed, partBytesMax)) {
      length += appendWhole(index, recordOf(segment, blocks))
      covered = blocks.at(-1)!.endsAt
    }
    return { covered, length }
  } finally {
    closeSync(index)
    closeSync(segment)
  }
}

/** `isSealed`: what is left at the end is a part, too. */
function* partsIn(records: Iterable<KeptBlock>, isSealed: boolean, bytesMax: number): Generator<KeptBlock[]> {
  let part: KeptBlock[] = []
  let rawBytes = 0
  for (const block of records) {
    const more = block.head.end - block.head.offset
    if (part.length === PART_BLOCKS_MAX || (part.length > 0 && rawBytes + more > bytesMax)) {
      yield part
      part = []
      rawBytes = 0
    }
    part.push(block)
    rawBytes += more
  }
  if (part.length > 0 && (isSealed || rawBytes >= bytesMax / 2)) yield part
}

function recordOf(segment: number, kept: KeptBlock[]): Buffer {
  const blocks = kept.map((block): IndexedBlock => {
    const { head, bytesAt } = block
    return { head, bytesAt, facts: factsOf(linesOf(segment, block), grams) }
  })
  const rawBytes = kept.reduce((sum, { head }) => sum + head.end - head.offset, 0)
  const last = kept.at(-1)!
  const part = {
    at: kept[0]!.at,
    endsAt: last.endsAt,
    from: Math.min(...kept.map(({ head }) => head.from)),
    to: Math.max(...kept.map(({ head }) => head.to)),
    isWhole: blocks.every(({ facts }) => facts.isWhole),
    levels: blocks.reduce((all, { facts }) => all | facts.levels, 0),
    lastAt: last.at,
    lastSum: last.sum,
    filter: grams.takeFilter(rawBytes),
  }
  return encodePart(part, blocks)
}

/** Empty for what cannot be unpacked: readers have no lines of it either. */
function linesOf(segment: number, { head, bytesAt }: KeptBlock): Buffer {
  const bytes = Buffer.allocUnsafe(head.bytes)
  if (readSync(segment, bytes, 0, bytes.length, bytesAt) < bytes.length) throw new Error('the segment ends in a block')
  if (head.encoding === 'raw') return bytes
  try {
    const chunkSize = Math.max(1024, head.end - head.offset)
    return zstdDecompressSync(bytes, { maxOutputLength: LOG_BLOCK_BYTES_MAX, chunkSize })
  } catch {
    return Buffer.alloc(0)
  }
}

function appendWhole(index: number, record: Buffer): number {
  // In one call, so that mostly it is there whole or not at all; what a full disk leaves of it is cut off the next time.
  const written = writeSync(index, record)
  if (written < record.length) throw new Error(`the disk took ${written} of ${record.length} bytes`)
  return written
}
