/**
 * What one tier wrote of all series for a while, as it stands in a file:
 *
 *     magic, checksum of what follows, bytes in all, from, to, series     6 × 32 bits
 *     numbers of the series, ascending                                    series × 32 bits
 *     where each one's block begins                                       series × 32 bits, and the end
 *     blocks
 *
 * All little-endian. To read one series its number is looked for in the index; nothing else of the frame is touched.
 */
import { crc32 } from 'node:zlib'

export const HEADER_BYTES = 24
const MAGIC = 0x314d_4242
const CHECKED_FROM = 8

export type Block = { series: number; bytes: Uint8Array }

/** Times are epoch seconds; `to` is the first that it has nothing of any more. */
export type FrameHeader = { bytes: number; from: number; to: number; series: number; checksum: number }

/** @param blocks ascending by series */
export function encodeFrame(from: number, to: number, blocks: Block[]): Buffer {
  const indexBytes = indexLength(blocks.length)
  const length = blocks.reduce((sum, { bytes }) => sum + bytes.length, HEADER_BYTES + indexBytes)
  const frame = Buffer.allocUnsafe(length)
  let at = 0
  for (const { bytes } of blocks) {
    frame.set(bytes, HEADER_BYTES + indexBytes + at)
    at += bytes.length
  }
  at = 0
  for (const [i, { series, bytes }] of blocks.entries()) {
    frame.writeUInt32LE(series, HEADER_BYTES + 4 * i)
    frame.writeUInt32LE(at, HEADER_BYTES + 4 * (blocks.length + i))
    at += bytes.length
  }
  frame.writeUInt32LE(at, HEADER_BYTES + 8 * blocks.length)
  for (const [i, figure] of [MAGIC, 0, length, from, to, blocks.length].entries()) frame.writeUInt32LE(figure, 4 * i)
  frame.writeUInt32LE(crc32(frame.subarray(CHECKED_FROM)), 4)
  return frame
}

/** Null when no frame begins there. Whether it is whole, only `isWhole` can say. */
export function decodeHeader(bytes: Buffer): FrameHeader | null {
  if (bytes.length < HEADER_BYTES || bytes.readUInt32LE(0) !== MAGIC) return null
  const [checksum, length, from, to, series] = [4, 8, 12, 16, 20].map((at) => bytes.readUInt32LE(at)) as [
    number,
    number,
    number,
    number,
    number,
  ]
  if (length < HEADER_BYTES + indexLength(series)) return null
  return { checksum, bytes: length, from, to, series }
}

export function isWhole(frame: Buffer, { bytes, checksum }: FrameHeader): boolean {
  return frame.length === bytes && crc32(frame.subarray(CHECKED_FROM)) === checksum
}

export function indexLength(series: number): number {
  return 8 * series + 4
}

export type Extent = { series: number; begin: number; end: number }

/** Where in the frame the blocks of these series are, in their order; those that it has nothing of are left out. */
export function extentsOf(index: Buffer, { series: count, bytes }: FrameHeader, wanted: readonly number[]): Extent[] {
  const extents: Extent[] = []
  const data = HEADER_BYTES + indexLength(count)
  let low = 0
  for (const series of wanted) {
    low = firstNotBelow(index, count, series, low)
    if (low >= count) break
    if (index.readUInt32LE(4 * low) !== series) continue
    const begin = data + index.readUInt32LE(4 * (count + low))
    const end = data + index.readUInt32LE(4 * (count + low + 1))
    if (begin <= end && end <= bytes) extents.push({ series, begin, end })
  }
  return extents
}

export function seriesOf(index: Buffer, count: number): number[] {
  return Array.from({ length: count }, (_, i) => index.readUInt32LE(4 * i))
}

function firstNotBelow(index: Buffer, count: number, series: number, from: number): number {
  let low = from
  let high = count
  while (low < high) {
    const middle = (low + high) >>> 1
    if (index.readUInt32LE(4 * middle) < series) low = middle + 1
    else high = middle
  }
  return low
}
