/** Lines that are drawn again in place on a terminal. */
import type { Output } from './output.ts'
import { forTerminal } from './terminal-text.ts'

/** Erases what was drawn before and draws `lines`, cut to the terminal's width so that none wraps. */
export function liveLines(out: Output) {
  let drawn = 0
  const erase = () => (drawn > 0 ? `\x1b[${drawn}A\x1b[J` : '')
  return {
    /** No more lines than the terminal has rows, less one for the cursor. */
    draw(lines: string[]): void {
      out.raw(`${erase()}${lines.map((line) => cut(forTerminal(line, true), out.columns)).join('\n')}\n`)
      drawn = lines.length
    },
    /** As many and as long as they are: nothing is drawn over them. */
    last(lines: string[]): void {
      out.raw(`${erase()}${lines.map((line) => forTerminal(line, true)).join('\n')}\n`)
      drawn = 0
    },
    /** What stands there stays; the next drawing begins below. */
    keep(): void {
      drawn = 0
    },
  }
}

/** Cuts by visible characters; colour codes take no room and are always let through. */
export function cut(line: string, columns: number): string {
  let visible = 0
  return line.replaceAll(ANSI_OR_CHARACTER, (part) => {
    if (part.length > 1 && part.startsWith(ESCAPE)) return part
    visible += 1
    return visible <= columns ? part : ''
  })
}

const ESCAPE = String.fromCharCode(27)
const ANSI_OR_CHARACTER = new RegExp(`${ESCAPE}\\[[0-9;]*m|[\\s\\S]`, 'gu')
