/**
 * Files of /proc and of cgroups make their content anew at every read from position 0, so one open descriptor serves for as
 * long as the file lives: a read of a kept one costs a third of open, read and close.
 */
import { closeSync, openSync, readSync } from 'node:fs'

/** The largest of these files that we read is /proc/stat of a host with hundreds of cores; of it only the beginning counts. */
const BUFFER_BYTES = 64 * 1024
const buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES)

export class KeptFile {
  readonly #path: string
  #descriptor: number | null = null

  constructor(path: string) {
    this.#path = path
  }

  /** Its content now, at most 64 KiB; null when it cannot be read (gone, not permitted, no descriptor to be had). */
  read(): string | null {
    try {
      this.#descriptor ??= openSync(this.#path, 'r')
      return buffer.toString('latin1', 0, readSync(this.#descriptor, buffer, 0, BUFFER_BYTES, 0))
    } catch {
      this.close()
      return null
    }
  }

  close(): void {
    if (this.#descriptor === null) return
    const descriptor = this.#descriptor
    this.#descriptor = null
    closeSync(descriptor)
  }
}

/** The same for a file that is read too seldom to be worth a descriptor. */
export function readOnce(path: string): string | null {
  const file = new KeptFile(path)
  const text = file.read()
  file.close()
  return text
}
