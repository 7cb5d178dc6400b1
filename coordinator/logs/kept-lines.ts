/** Lines out of kept blocks. */

import { type FileHandle, open } from 'node:fs/promises'
import { promisify } from 'node:util'
import { zstdDecompress } from 'node:zlib'
import { type LineJoiner, parseJsonLog } from '../../shared/json-log.ts'
import { LOG_BLOCK_BYTES_MAX } from '../../shared/wire/log-block.ts'
import type { LogLine } from '../../shared/wire/up.ts'
import type { KeptHead } from './segment.ts'

const unpack = promisify(zstdDecompress)

/** Where a block lies. */
export type BlockRef = { path: string; head: KeptHead; bytesAt: number }

const CHUNK_BYTES_MIN = 1024
const OPEN_FILES_MAX = 16

/** Segments that a reader has open; the one that was used least lately is closed for another. */
export class BlockFiles {
  readonly #open = new Map<string, FileHandle>()
  #isClosed = false

  /** The Engine's lines as they were written; null: the block is not there any more, or is not what its head says. */
  async read({ path, head, bytesAt }: BlockRef): Promise<Buffer | null> {
    try {
      const handle = await this.#handle(path)
      const bytes = Buffer.allocUnsafe(head.bytes)
      const { bytesRead } = await handle.read(bytes, 0, bytes.length, bytesAt)
      if (bytesRead < bytes.length) return null
      if (head.encoding === 'raw') return bytes
      // In one piece: putting many together costs more than unpacking them.
      const chunkSize = Math.max(CHUNK_BYTES_MIN, head.end - head.offset)
      return await unpack(bytes, { maxOutputLength: LOG_BLOCK_BYTES_MAX, chunkSize })
    } catch {
      // Retention took it, or an agent packed what cannot be unpacked: the other lines are still worth reading.
      return null
    }
  }

  async #handle(path: string): Promise<FileHandle> {
    const known = this.#open.get(path)
    if (known !== undefined) {
      this.#open.delete(path)
      this.#open.set(path, known)
      return known
    }
    const handle = await open(path, 'r')
    if (this.#isClosed || this.#open.has(path)) {
      // The reader has gone meanwhile, or another block of the file was asked for at the same time.
      await handle.close()
      if (this.#isClosed) throw new Error('closed')
      return this.#open.get(path)!
    }
    this.#open.set(path, handle)
    if (this.#open.size > OPEN_FILES_MAX) {
      const [oldest, file] = this.#open.entries().next().value!
      this.#open.delete(oldest)
      await file.close()
    }
    return handle
  }

  close(): void {
    this.#isClosed = true
    for (const handle of this.#open.values()) void handle.close().catch(() => {})
    this.#open.clear()
  }
}

/** `joiner` goes from block to block of one container, since pieces of a long line do. */
export function linesOf(bytes: Buffer, joiner: LineJoiner): LogLine[] {
  const lines: LogLine[] = []
  const text = bytes.toString('utf8')
  for (let at = 0; at < text.length; ) {
    const end = text.indexOf('\n', at)
    const piece = parseJsonLog(end < 0 ? text.slice(at) : text.slice(at, end))
    const line = piece && joiner.add(piece)
    if (line !== null) lines.push(line)
    at = end < 0 ? text.length : end + 1
  }
  return lines
}
