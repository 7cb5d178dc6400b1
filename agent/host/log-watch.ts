/**
 * Tells that a log was written to, without a call for each line: after a notice the watch is off until it is armed again, so
 * that a container that writes much costs no more than our own looks.
 */
import { type FSWatcher, watch } from 'node:fs'

export class LogWatch {
  readonly #path: string
  readonly #changed: () => void
  #watcher: FSWatcher | null = null

  constructor(path: string, changed: () => void) {
    this.#path = path
    this.#changed = changed
  }

  get isArmed(): boolean {
    return this.#watcher !== null
  }

  /** False: there is no watch to be had, or no file just now; the poll stands in. What was written before is not told. */
  arm(): boolean {
    if (this.#watcher !== null) return true
    try {
      const watcher = watch(this.#path, { persistent: false }, () => this.#fire())
      watcher.on('error', () => this.disarm())
      this.#watcher = watcher
      return true
    } catch {
      return false
    }
  }

  disarm(): void {
    this.#watcher?.close()
    this.#watcher = null
  }

  #fire(): void {
    if (this.#watcher === null) return
    this.disarm()
    this.#changed()
  }
}
