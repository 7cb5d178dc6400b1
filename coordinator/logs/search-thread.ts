/** The thread of line-search.ts. */
import { closeSync, openSync, readSync } from 'node:fs'
import { parentPort } from 'node:worker_threads'
import { zstdDecompressSync } from 'node:zlib'
import { LOG_BLOCK_BYTES_MAX } from '../../shared/wire/log-block.ts'
import { linesHolding } from './lines-holding.ts'

/** `rawBytes`: of its lines, before they were packed. */
export type SearchOrder = {
  path: string
  bytesAt: number
  bytes: number
  rawBytes: number
  isPacked: boolean
  texts: string[]
}

const CHUNK_BYTES_MIN = 1024

parentPort!.on('message', (order: SearchOrder) => parentPort!.postMessage(foundBy(order)))

/** Null: it cannot be read; whoever asked will find out why. */
function foundBy({ texts, ...place }: SearchOrder): Uint8Array | null {
  try {
    const lines = readLines(place)
    if (lines === null) return null
    const found = linesHolding(
      lines,
      texts.map((text) => Buffer.from(text)),
    )
    letGo(lines)
    return found
  } catch {
    return null
  }
}

/** Now, not when V8 thinks of it: it is half a megabyte for each block. A small one may share its memory with others. */
function letGo({ buffer, byteLength }: Buffer): void {
  if (byteLength > Buffer.poolSize) (buffer as ArrayBuffer).transfer(0)
}

function readLines({ path, bytesAt, bytes, rawBytes, isPacked }: Omit<SearchOrder, 'texts'>): Buffer | null {
  const packed = Buffer.allocUnsafe(bytes)
  const descriptor = openSync(path, 'r')
  try {
    if (readSync(descriptor, packed, 0, bytes, bytesAt) < bytes) return null
  } finally {
    closeSync(descriptor)
  }
  if (!isPacked) return packed
  const chunkSize = Math.max(CHUNK_BYTES_MIN, rawBytes)
  const lines = zstdDecompressSync(packed, { maxOutputLength: LOG_BLOCK_BYTES_MAX, chunkSize })
  letGo(packed)
  return lines
}
