/** What happened, in the project's own words, line by line; and a hash of all of it. */
import type { Timeline } from './timeline.ts'

export type TraceLine = { atMs: number; who: string; text: string }

export class Trace {
  readonly lines: TraceLine[] = []
  private readonly timeline: Timeline
  private readonly linesMax: number
  /** Lines that are not kept any more. */
  left = 0

  constructor(timeline: Timeline, linesMax: number) {
    this.timeline = timeline
    this.linesMax = linesMax
  }

  tell(who: string, text: string): void {
    let hash = 0
    for (let index = 0; index < text.length; index++) hash = (Math.imul(hash, 31) + text.charCodeAt(index)) | 0
    this.timeline.note(hash)
    this.lines.push({ atMs: this.timeline.now, who, text })
    if (this.lines.length > 2 * this.linesMax)
      this.left += this.lines.splice(0, this.lines.length - this.linesMax).length
  }
}

/** One line as it is printed: seconds since the beginning, who, what. */
export function printLine({ atMs, who, text }: TraceLine): string {
  return `${(atMs / 1000).toFixed(3).padStart(9)} ${who.padEnd(12)} ${text}`
}
