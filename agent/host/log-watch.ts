/**
 * Tells that a log was written to, without a call for each line: after a notice the watch is off until it is armed again, so
 * that a container that writes much costs no more than our own looks.
 */
import { type FSWatcher, watch } from 'node:fs'
import { dirname } from 'node:path'

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

  /**
   * False: there is no watch to be had; the poll stands in. What was written before is not told. As long as there is no file, as in the
   * middle of a rotation or before the container's start, its folder is watched.
   */
  arm(): boolean {
    if (this.#watcher !== null) return true
    this.#watcher = this.#watch(this.#path) ?? this.#watch(dirname(this.#path))
    return this.#watcher !== null
  }

  disarm(): void {
    this.#watcher?.close()
    this.#watcher = null
  }

  #watch(path: string): FSWatcher | null {
    try {
      const watcher = watch(path, { persistent: false }, () => this.#fire())
      watcher.on('error', () => this.disarm())
      return watcher
    } catch {
      return null
    }
  }

  #fire(): void {
    if (this.#watcher === null) return
    this.disarm()
    this.#changed()
  }
}
