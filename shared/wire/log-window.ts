/**
 * What of one log stream may be under way: an agent begins with a window of so many lines, takes off what it sends, and
 * waits for `log-more` when nothing is left. A long line weighs more than one, so that lines bound memory as well.
 */
export const LOG_WINDOW_LINES = 4_000

const LIGHT_CHARS = 1024

/** One for a line of up to a KiB, one more for each further KiB. */
export function lineWeight(line: { text: string }): number {
  return 1 + Math.floor(line.text.length / LIGHT_CHARS)
}

export function weightOf(lines: readonly { text: string }[]): number {
  let weight = 0
  for (const line of lines) weight += lineWeight(line)
  return weight
}
