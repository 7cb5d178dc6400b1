/**
 * A segment: blocks of lines of one service, one behind the other in a file that only grows until it is sealed. Each record is
 * `BLG1`, the lengths of head and bytes, the CRC of both (32 bits each, little endian), the head as JSON, the bytes.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { crc32 } from 'node:zlib'
import type { LogBlockHead } from '../../shared/wire/log-block.ts'

/** As it is kept: whose lines they are is known from here on without the world. */
export type KeptHead = LogBlockHead & { name: string; node: string }
/** `sum`: of head and bytes. */
export type KeptBlock = { head: KeptHead; at: number; bytesAt: number; endsAt: number; sum: number }

const MARK = 0x31474c42
const START_BYTES = 16
/** A head is a few hundred bytes; names are bounded. */
const HEAD_BYTES_MAX = 16 * 1024
/** Of many small records together; of large ones little more than their heads. */
const READ_BYTES = 8 * 1024

export function encodeRecord(head: KeptHead, bytes: Uint8Array): Buffer[] {
  const text = Buffer.from(JSON.stringify(head))
  const start = Buffer.alloc(START_BYTES)
  start.writeUInt32LE(MARK, 0)
  start.writeUInt32LE(text.length, 4)
  start.writeUInt32LE(bytes.length, 8)
  start.writeUInt32LE(crc32(bytes, crc32(text)), 12)
  return [start, text, bytes as Buffer]
}

/** The records of `path` from `from` to `to`, until the first that is not whole. `verify`: their sums are looked at, too. */
export function* readRecords(path: string, from: number, to: number, verify = false): Generator<KeptBlock> {
  const descriptor = openSync(path, 'r')
  try {
    yield* recordsIn(descriptor, from, Math.min(to, fstatSync(descriptor).size), verify)
  } finally {
    closeSync(descriptor)
  }
}

function* recordsIn(descriptor: number, from: number, to: number, verify: boolean): Generator<KeptBlock> {
  let chunk = Buffer.alloc(0)
  let chunkAt = from
  const window = (at: number, length: number): Buffer | null => {
    if (at + length > to) return null
    if (at < chunkAt || at + length > chunkAt + chunk.length) {
      const next = Buffer.allocUnsafe(Math.min(Math.max(length, READ_BYTES), to - at))
      chunk = next.subarray(0, readSync(descriptor, next, 0, next.length, at))
      chunkAt = at
      if (chunk.length < length) return null
    }
    return chunk.subarray(at - chunkAt, at - chunkAt + length)
  }
  for (let at = from; ; ) {
    const start = window(at, START_BYTES)
    if (start === null || start.readUInt32LE(0) !== MARK) return
    const headBytes = start.readUInt32LE(4)
    const blockBytes = start.readUInt32LE(8)
    const sum = start.readUInt32LE(12)
    const bytesAt = at + START_BYTES + headBytes
    const endsAt = bytesAt + blockBytes
    if (headBytes > HEAD_BYTES_MAX || endsAt > to) return
    const text = window(at + START_BYTES, headBytes)
    if (text === null) return
    if (verify) {
      const headSum = crc32(text)
      const bytes = window(bytesAt, blockBytes)
      if (bytes === null || crc32(bytes, headSum) !== sum) return
      const again = window(at + START_BYTES, headBytes)
      if (again === null) return
      yield { head: JSON.parse(again.toString()) as KeptHead, at, bytesAt, endsAt, sum }
    } else {
      yield { head: JSON.parse(text.toString()) as KeptHead, at, bytesAt, endsAt, sum }
    }
    at = endsAt
  }
}
