/** Tables for a terminal: columns as wide as their widest cell, cut to fit, never wrapped. */
import { oneLine } from './terminal-text.ts'

export type Column = {
  title: string
  align?: 'left' | 'right'
  /** Narrowed first (to no less than this) when the table is too wide. */
  shrinkTo?: number
}

const gap = '  '

/** The table's lines, title line first, none longer than `width`. Cells hold plain text in one line: colour comes afterwards. */
export function tableLines(columns: Column[], rows: string[][], width = 100): string[] {
  const lines = [columns.map((column) => column.title), ...rows.map((row) => row.map(oneLine))]
  const widths = columns.map((_, index) => Math.max(...lines.map((line) => (line[index] ?? '').length)))
  shrink(columns, widths, width)
  return lines.map((line) =>
    columns
      .map((column, index) => cell(line[index] ?? '', widths[index] ?? 0, column.align))
      .join(gap)
      .trimEnd()
      .slice(0, Math.max(width, 20)),
  )
}

function shrink(columns: Column[], widths: number[], width: number): void {
  const total = () => widths.reduce((sum, each) => sum + each, 0) + gap.length * (widths.length - 1)
  // The widest gives way first, one character at a time: what is left is then fairly even.
  while (total() > width) {
    let widest = -1
    for (const [index, column] of columns.entries()) {
      if (column.shrinkTo === undefined || (widths[index] ?? 0) <= column.shrinkTo) continue
      if (widest < 0 || (widths[index] ?? 0) > (widths[widest] ?? 0)) widest = index
    }
    if (widest < 0) return
    widths[widest] = (widths[widest] ?? 1) - 1
  }
}

function cell(text: string, width: number, align: Column['align']): string {
  const fitted = text.length > width ? `${text.slice(0, Math.max(0, width - 1))}…` : text
  return align === 'right' ? fitted.padStart(width) : fitted.padEnd(width)
}
