/** Lines out of kept blocks. */

import { type FileHandle, open } from 'node:fs/promises'
import { promisify } from 'node:util'
import { zstdDecompress } from 'node:zlib'
import { type LineJoiner, parseJsonLog } from '../../shared/json-log.ts'
import { LOG_BLOCK_BYTES_MAX } from '../../shared/wire/log-block.ts'
import type { LogLine } from '../../shared/wire/up.ts'
import type { BlockFacts } from './block-facts.ts'
import type { KeptHead } from './segment.ts'

const unpack = promisify(zstdDecompress)

/** Where a block lies. */
export type BlockPlace = { path: string; head: KeptHead; bytesAt: number }
/** `facts`: what the index says of it; null: it is not in one. */
export type BlockRef = BlockPlace & { facts: BlockFacts | null }

const CHUNK_BYTES_MIN = 1024
const OPEN_FILES_MAX = 16

type OpenFile = { handle: Promise<FileHandle>; reads: number }

/** Segments that a reader has open; of those that are not being read the one that was used least lately is closed for another. */
export class BlockFiles {
  readonly #open = new Map<string, OpenFile>()
  #isClosed = false

  /** The Engine's lines as they were written; null: the block is not there any more, or is not what its head says. */
  async read({ path, head, bytesAt }: BlockPlace): Promise<Buffer | null> {
    const file = this.#use(path)
    try {
      const bytes = Buffer.allocUnsafe(head.bytes)
      const { bytesRead } = await (await file.handle).read(bytes, 0, bytes.length, bytesAt)
      if (bytesRead < bytes.length) return null
      if (head.encoding === 'raw') return bytes
      // In one piece: putting many together costs more than unpacking them.
      const chunkSize = Math.max(CHUNK_BYTES_MIN, head.end - head.offset)
      return await unpack(bytes, { maxOutputLength: LOG_BLOCK_BYTES_MAX, chunkSize })
    } catch {
      // Retention took it, or an agent packed what cannot be unpacked: the other lines are still worth reading.
      return null
    } finally {
      file.reads -= 1
      this.#closeIdle(this.#isClosed ? 0 : OPEN_FILES_MAX)
    }
  }

  close(): void {
    this.#isClosed = true
    this.#closeIdle(0)
  }

  #use(path: string): OpenFile {
    const file = this.#open.get(path) ?? this.#openNow(path)
    this.#open.delete(path)
    this.#open.set(path, file)
    file.reads += 1
    return file
  }

  #openNow(path: string): OpenFile {
    const handle = open(path, 'r')
    // The next read tries again.
    handle.catch(() => this.#open.delete(path))
    return { handle, reads: 0 }
  }

  #closeIdle(keep: number): void {
    for (const [path, { handle, reads }] of this.#open) {
      if (this.#open.size <= keep) return
      if (reads > 0) continue
      this.#open.delete(path)
      void handle.then((file) => file.close()).catch(() => {})
    }
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
