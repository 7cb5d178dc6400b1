/** A container's json-file log in a folder of its own, written and rotated the way the Engine does it. */
import { closeSync, existsSync, mkdtempSync, openSync, renameSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseLogTime } from '../../../shared/log-time.ts'

export class LogFolder {
  readonly folder = mkdtempSync(join(tmpdir(), 'berth-log-'))
  readonly path = join(this.folder, 'c1-json.log')
  readonly #filesMax: number
  #descriptor: number
  #atMs = Date.UTC(2026, 10, 23)

  constructor(filesMax = 5) {
    this.#filesMax = filesMax
    this.#descriptor = openSync(this.path, 'a')
  }

  /** One line of the container; its time is a millisecond after the one before. */
  write(text: string, source: 'stdout' | 'stderr' = 'stdout'): number {
    return this.writePiece(`${text}\n`, source)
  }

  writePiece(log: string, source: 'stdout' | 'stderr' = 'stdout'): number {
    const atMs = this.#atMs++
    const time = new Date(atMs).toISOString().replace('Z', '123456Z')
    this.writeRaw(`${JSON.stringify({ log, stream: source, time })}\n`)
    return parseLogTime(time)
  }

  writeRaw(bytes: string | Buffer): void {
    writeSync(this.#descriptor, typeof bytes === 'string' ? Buffer.from(bytes) : bytes)
  }

  /** Closes, renames each to the next number, begins a new file; in that order, as the Engine does. */
  rotate(): void {
    closeSync(this.#descriptor)
    for (let number = this.#filesMax - 1; number > 0; number--) {
      const from = number === 1 ? this.path : `${this.path}.${number - 1}`
      if (existsSync(from)) renameSync(from, `${this.path}.${number}`)
    }
    this.#descriptor = openSync(this.path, 'w')
  }

  /** What the Engine does with `max-file` 1: the same file, emptied. */
  truncate(): void {
    closeSync(this.#descriptor)
    this.#descriptor = openSync(this.path, 'w')
  }

  remove(): void {
    closeSync(this.#descriptor)
    rmSync(this.folder, { recursive: true, force: true })
  }
}
