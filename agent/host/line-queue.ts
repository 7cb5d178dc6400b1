/** Lines on their way to the coordinator: given on in batches, never more of them than the bounds say. */
import type { LogLine } from '../../shared/wire/up.ts'

export const BATCH_LINES_MAX = 512
/** A batch becomes one frame; a character is at most three bytes there. */
export const BATCH_CHARS_MAX = 512 * 1024
export const QUEUE_LINES_MAX = 2048
export const QUEUE_CHARS_MAX = 4 * 1024 * 1024

export class LineQueue {
  #lines: LogLine[] = []
  #chars = 0
  #dropped = 0

  get isEmpty(): boolean {
    return this.#lines.length === 0 && this.#dropped === 0
  }

  get isFull(): boolean {
    return this.#lines.length >= QUEUE_LINES_MAX || this.#chars >= QUEUE_CHARS_MAX
  }

  get hasBatch(): boolean {
    return this.#lines.length >= BATCH_LINES_MAX || this.#chars >= BATCH_CHARS_MAX
  }

  add(line: LogLine): void {
    this.#lines.push(line)
    this.#chars += line.text.length
  }

  /** Who follows wants the newest lines: the oldest go, a batch of them at once, and are counted. */
  dropOldest(): void {
    const { length } = this.#take(BATCH_LINES_MAX, BATCH_CHARS_MAX)
    this.#dropped += length
  }

  takeBatch(): { lines: LogLine[]; dropped: number } {
    const dropped = this.#dropped
    this.#dropped = 0
    return { lines: this.#take(BATCH_LINES_MAX, BATCH_CHARS_MAX), dropped }
  }

  #take(linesMax: number, charsMax: number): LogLine[] {
    let count = 0
    let chars = 0
    while (count < this.#lines.length && count < linesMax && (count === 0 || chars < charsMax)) {
      chars += this.#lines[count++]!.text.length
    }
    this.#chars -= chars
    return this.#lines.splice(0, count)
  }
}
