/**
 * Blocks of log lines on their way to the coordinator: the one kind of frame that is not msgpack, since its bulk is bytes that
 * nobody looks at on the way. It begins with 0xc1, which no msgpack value does; then the length of the heads (32 bits, little
 * endian), the heads as JSON, and the bytes of each block in turn.
 */
import { FRAME_BYTES_MAX } from './codec.ts'

/** A place in the output of a container: a file is known by its inode and its first line, as inodes are used again. */
export type LogPlace = { file: string; offset: number }

export type LogBlockHead = {
  container: string
  task: string
  /** The bytes of `file` from `offset` to `end`: whole lines as the Engine wrote them. */
  file: string
  offset: number
  end: number
  /** Where the block before it ended; null: it is the first of its container. */
  after: LogPlace | null
  lines: number
  /** Of the longest line, in bytes. */
  longest: number
  /** Earliest and latest time, epoch ms. */
  from: number
  to: number
  /** Lines before this block were gone before they could be read. */
  gap: boolean
  encoding: 'raw' | 'zstd'
  /** Length of what follows for this block. */
  bytes: number
}

export type LogBlock = { head: LogBlockHead; bytes: Uint8Array }

export const LOG_FRAME_MARK = 0xc1
/** Of lines, before they are packed. */
export const LOG_BLOCK_BYTES_MAX = 512 * 1024
export const LOG_BLOCKS_MAX = 512

const HEAD_BYTES = 5

export function isLogFrame(frame: Uint8Array): boolean {
  return frame[0] === LOG_FRAME_MARK
}

/** Whoever sends keeps it below FRAME_BYTES_MAX and LOG_BLOCKS_MAX. */
export function encodeLogFrame(blocks: LogBlock[]): Uint8Array {
  const heads = Buffer.from(JSON.stringify(blocks.map(({ head }) => head)))
  const start = Buffer.alloc(HEAD_BYTES)
  start[0] = LOG_FRAME_MARK
  start.writeUInt32LE(heads.length, 1)
  return Buffer.concat([start, heads, ...blocks.map(({ bytes }) => bytes)])
}

/** A sentence's end that says what is wrong, or the blocks, whose bytes are parts of the frame. Never throws. */
export function decodeLogFrame(frame: Uint8Array): LogBlock[] | string {
  if (frame.length > FRAME_BYTES_MAX) return 'it is too large'
  const buffer = Buffer.from(frame.buffer, frame.byteOffset, frame.byteLength)
  const headsEnd = buffer.length < HEAD_BYTES ? Number.POSITIVE_INFINITY : HEAD_BYTES + buffer.readUInt32LE(1)
  if (headsEnd > buffer.length) return 'it ends in the middle of its heads'
  let heads: unknown
  try {
    heads = JSON.parse(buffer.toString('utf8', HEAD_BYTES, headsEnd))
  } catch {
    return 'its heads are no JSON'
  }
  if (!Array.isArray(heads) || heads.length > LOG_BLOCKS_MAX) return `its heads are no list of up to ${LOG_BLOCKS_MAX}`
  const blocks: LogBlock[] = []
  let at = headsEnd
  for (const head of heads) {
    const fault = faultOfHead(head)
    if (fault !== null) return fault
    const { bytes } = head as LogBlockHead
    if (at + bytes > buffer.length) return 'it ends in the middle of a block'
    blocks.push({ head: known(head as LogBlockHead), bytes: buffer.subarray(at, at + bytes) })
    at += bytes
  }
  return at === buffer.length ? blocks : `${buffer.length - at} bytes follow its blocks`
}

/** The members that we know, and no others: heads are kept on disk. */
function known(head: LogBlockHead): LogBlockHead {
  const { container, task, file, offset, end, after, lines, longest, from, to, gap, encoding, bytes } = head
  const place = after && { file: after.file, offset: after.offset }
  return { container, task, file, offset, end, after: place, lines, longest, from, to, gap, encoding, bytes }
}

function faultOfHead(head: unknown): string | null {
  if (typeof head !== 'object' || head === null) return 'a head is no map'
  const given = head as Record<string, unknown>
  for (const name of ['container', 'task', 'file']) if (!isId(given[name])) return `a head has no ${name}`
  for (const name of ['offset', 'end', 'lines', 'longest', 'bytes'])
    if (!isCount(given[name])) return `a head has no ${name}`
  for (const name of ['from', 'to']) if (!isTime(given[name])) return `a head has no ${name}`
  const { offset, end, after, encoding, gap } = given as LogBlockHead
  if (end <= offset || end - offset > LOG_BLOCK_BYTES_MAX)
    return `a block is of 1 to ${LOG_BLOCK_BYTES_MAX} bytes of lines`
  if (encoding !== 'raw' && encoding !== 'zstd') return 'a block is packed in a way that is not known'
  if (encoding === 'raw' && given.bytes !== end - offset) return 'a block is not as long as its head says'
  if (typeof gap !== 'boolean') return 'a head has no gap'
  if (after !== null && !(typeof after === 'object' && isId(after.file) && isCount(after.offset)))
    return 'a head has no after'
  return null
}

const isId = (value: unknown) => typeof value === 'string' && value.length > 0 && value.length <= 256
const isCount = (value: unknown) => Number.isSafeInteger(value) && (value as number) >= 0
const isTime = (value: unknown) => typeof value === 'number' && value >= 0 && value < 8.64e15
