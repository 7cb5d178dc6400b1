/**
 * Tells that a log was written to, without a call for each line: after a notice the watch is off until it is armed again, so
 * that a container that writes much costs no more than our own looks.
 */
import { type FSWatcher, watch } from 'node:fs'

const MISSES_MAX = 50

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

  /** There was no file the last times: mostly it is being rotated, and will be there in a moment. One that stays away is not told. */
  get isMissing(): boolean {
    return this.#misses > 0 && this.#misses <= MISSES_MAX
  }

  #misses = 0

  /** False: there is no watch to be had, or no file just now; the poll stands in. What was written before is not told. */
  arm(): boolean {
    if (this.#watcher !== null) return true
    try {
      const watcher = watch(this.#path, { persistent: false }, () => this.#fire())
      watcher.on('error', () => this.disarm())
      this.#watcher = watcher
      this.#misses = 0
      return true
    } catch (error) {
      this.#misses = (error as NodeJS.ErrnoException).code === 'ENOENT' ? this.#misses + 1 : 0
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
