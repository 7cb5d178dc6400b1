/**
 * Finds lines that hold one of some texts in many blocks, in a thread of its own that all readers share. A block unpacked is half a
 * megabyte; in this thread so much of it would have V8 look through all that a coordinator has, again and again, which took more time than
 * the search.
 */
import { Worker } from 'node:worker_threads'
import type { BlockPlace } from './kept-lines.ts'
import type { SearchOrder } from './search-thread.ts'

/** 32 MB of lines: fewer are looked through before a thread has begun. */
const BLOCKS_MIN = 64
/** The thread takes some memory; it ends when nobody has asked for so long. */
const IDLE_MS = 10_000

export class LineSearch {
  /** For fewer blocks it is not worth while. */
  readonly blocksMin: number
  #thread: Worker | null = null
  /** Answers come in the order of what was asked. */
  readonly #asked: ((found: Buffer | null) => void)[] = []
  #idleTimer: NodeJS.Timeout | null = null
  #hasFailed = false

  constructor(blocksMin = BLOCKS_MIN) {
    this.blocksMin = blocksMin
  }

  /** Lines of the file, as they are; null: the block is to be read without this. */
  find({ path, head, bytesAt }: BlockPlace, texts: string[]): Promise<Buffer | null> {
    if (this.#hasFailed) return Promise.resolve(null)
    const { bytes, offset, end, encoding } = head
    const order: SearchOrder = { path, bytesAt, bytes, rawBytes: end - offset, isPacked: encoding === 'zstd', texts }
    if (this.#idleTimer !== null) clearTimeout(this.#idleTimer)
    this.#idleTimer = null
    this.#thread ??= this.#begin()
    this.#thread.postMessage(order)
    return new Promise((resolve) => this.#asked.push(resolve))
  }

  async close(): Promise<void> {
    if (this.#idleTimer !== null) clearTimeout(this.#idleTimer)
    const thread = this.#thread
    // At once: who asks from here on has another.
    this.#thread = null
    for (const answer of this.#asked.splice(0)) answer(null)
    await thread?.terminate()
  }

  #begin(): Worker {
    const thread = new Worker(new URL('./search-thread.ts', import.meta.url))
    thread.unref()
    thread.on('message', (found: Uint8Array | null) => {
      this.#asked.shift()?.(found && Buffer.from(found.buffer, found.byteOffset, found.byteLength))
      if (this.#asked.length === 0) this.#endLater()
    })
    // It was given what it cannot do, or there is no memory for it: it is done without.
    thread.on('error', () => {
      this.#hasFailed = true
      this.#thread = null
      for (const answer of this.#asked.splice(0)) answer(null)
    })
    return thread
  }

  #endLater(): void {
    this.#idleTimer = setTimeout(() => void this.close(), IDLE_MS)
    this.#idleTimer.unref()
  }
}
