/** The lines of a rotated log that the Engine has compressed (gzip), from a place in them on, unpacked no further than they are taken. */
import { createReadStream, fstatSync, openSync, readSync } from 'node:fs'
import { constants, createGunzip, gunzipSync } from 'node:zlib'
import { LOG_BLOCK_BYTES_MAX } from '../../shared/wire/log-block.ts'

/** More is not unpacked before this is taken. */
const WAITING_BYTES_MAX = 2 * LOG_BLOCK_BYTES_MAX
const READ_BYTES = 64 * 1024
/** How much of a file is unpacked to have its first line: a line is of some 100 KiB at most, mostly far less. */
const HEAD_BYTES = [4 * 1024, 32 * 1024, 256 * 1024]
/** At a file's end stands the length of what is in it, modulo 2³². */
const LENGTH_BYTES = 4

export class PackedLog {
  readonly #input: ReturnType<typeof createReadStream>
  readonly #gunzip = createGunzip()
  #waiting: Buffer[] = []
  #waitingBytes = 0
  /** Bytes before the place that are to come still. */
  #toPass: number
  #isEnded = false
  /** It ended in the middle, as when the Engine was killed while it packed, or before the place. */
  isTorn = false

  /** `descriptor` is not used any more afterwards. `ready`: there is something to take, or nothing more will come. */
  constructor(descriptor: number, offset: number, ready: () => void) {
    this.#toPass = offset
    // Opened anew, so that it is closed when nothing reads from it any more; the file may have no other name left.
    this.#input = createReadStream('', { fd: openSync(`/proc/self/fd/${descriptor}`, 'r'), highWaterMark: READ_BYTES })
    const end = (isTorn: boolean) => {
      if (this.#isEnded) return
      this.#isEnded = true
      this.isTorn = isTorn || this.#toPass > 0
      ready()
    }
    this.#gunzip.on('data', (bytes: Buffer) => {
      this.#add(bytes)
      if (this.#waitingBytes >= LOG_BLOCK_BYTES_MAX) ready()
    })
    this.#gunzip.on('end', () => end(false))
    this.#gunzip.on('error', () => end(true))
    this.#input.on('error', () => end(true))
    this.#input.pipe(this.#gunzip)
  }

  /** All has been taken that will ever come. */
  get isDone(): boolean {
    return this.#isEnded && this.#waitingBytes === 0
  }

  /** Whole lines, as many as a block holds; null: none as yet. */
  take(): Buffer | null {
    if (this.#waitingBytes === 0 || (this.#waitingBytes < LOG_BLOCK_BYTES_MAX && !this.#isEnded)) return null
    const all = Buffer.concat(this.#waiting)
    const block = all.subarray(0, LOG_BLOCK_BYTES_MAX)
    const lines = block.subarray(0, block.lastIndexOf(10) + 1 || block.length)
    // A copy, so that what is taken holds no memory of what is not.
    this.#waiting = lines.length < all.length ? [Buffer.from(all.subarray(lines.length))] : []
    this.#waitingBytes -= lines.length
    if (this.#waitingBytes < WAITING_BYTES_MAX) this.#gunzip.resume()
    return lines
  }

  close(): void {
    this.#isEnded = true
    this.#input.destroy()
    this.#gunzip.destroy()
  }

  #add(bytes: Buffer): void {
    const passed = Math.min(this.#toPass, bytes.length)
    this.#toPass -= passed
    if (passed === bytes.length) return
    this.#waiting.push(bytes.subarray(passed))
    this.#waitingBytes += bytes.length - passed
    if (this.#waitingBytes >= WAITING_BYTES_MAX) this.#gunzip.pause()
  }
}

/** The beginning of what is in it, with its first line if that can be had. */
export function headOfPacked(descriptor: number): Buffer {
  const size = fstatSync(descriptor).size
  let head = Buffer.alloc(0)
  for (const length of HEAD_BYTES) {
    const packed = Buffer.alloc(Math.min(length, size))
    const read = readSync(descriptor, packed, 0, packed.length, 0)
    try {
      head = gunzipSync(packed.subarray(0, read), { finishFlush: constants.Z_SYNC_FLUSH })
    } catch {
      return head
    }
    if (head.includes(10) || read < length) break
  }
  return head
}

/** How long what is in it is said to be, modulo 2³². */
export function lengthOfPacked(descriptor: number): number {
  const end = Buffer.alloc(LENGTH_BYTES)
  readSync(descriptor, end, 0, LENGTH_BYTES, Math.max(0, fstatSync(descriptor).size - LENGTH_BYTES))
  return end.readUInt32LE()
}
