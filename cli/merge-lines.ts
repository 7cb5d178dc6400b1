/** Log lines of many tasks in order of time, as far as waiting a moment for slower hosts can bring it. */
import type { LogRecordLine } from '../shared/api.ts'

/** A finite answer is sorted whole up to here; beyond, the oldest half goes out to make room. */
export const HELD_LINES_MAX = 200_000

/**
 * Holds lines back until `release` is called for what arrived before an instant (following), or until the end (a finite
 * answer), and hands them on sorted by time. Lines of one time keep the order in which they came.
 */
export function lineMerger(emit: (line: LogRecordLine) => void, heldMax = HELD_LINES_MAX) {
  let held: { line: LogRecordLine; arrivedAt: number }[] = []

  const sendFirst = (count: number) => {
    held.sort((a, b) => a.line.at - b.line.at)
    for (const { line } of held.slice(0, count)) emit(line)
    held = held.slice(count)
  }
  return {
    add(line: LogRecordLine, arrivedAt: number): void {
      held.push({ line, arrivedAt })
      if (held.length > heldMax) sendFirst(held.length >> 1)
    },
    /** Sends every line that is not younger than one which arrived at `until` or before. */
    release(until: number): void {
      held.sort((a, b) => a.line.at - b.line.at)
      const last = held.findLastIndex(({ arrivedAt }) => arrivedAt <= until)
      sendFirst(last + 1)
    },
    end: () => sendFirst(held.length),
  }
}
