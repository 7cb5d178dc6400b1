/**
 * How far into a task's log a reader is, so that it can go on later, elsewhere or over another line without losing or doubling
 * one: the time of the latest line it has had, and how many lines of just that time.
 */
export type LogPosition = {
  /** Epoch ms, with the fraction that the line has. */
  at: number
  lines: number
}

/** Tasks in which one reader may say how far it is. */
export const POSITIONS_MAX = 20_000

/** Where the reader is after one more line. A line out of order (its host's clock was set back) does not move it back. */
export function advance(position: LogPosition | null | undefined, at: number): LogPosition {
  if (!position || at > position.at) return { at, lines: 1 }
  return at === position.at ? { at, lines: position.lines + 1 } : position
}

/** For a log that is read again from `position.at` on: true for each line that the reader has had already. */
export function passOver(position: LogPosition): (at: number) => boolean {
  let left = position.lines
  return (at) => {
    if (at < position.at) return true
    if (at > position.at || left === 0) return false
    left -= 1
    return true
  }
}
