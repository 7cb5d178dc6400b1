/** A line over time as text: braille dots, two a column and four a row, with an axis of values and one of times. */

export type Plot = {
  points: (number | null)[]
  /** Epoch milliseconds of the first point. */
  fromMs: number
  stepMs: number
  /** Of the whole, axis included. */
  columns: number
  rows: number
  /** The values are bytes: the axis is in KiB, MiB and so on. */
  isOfBytes?: boolean
  format: (value: number) => string
}

const DOTS_ACROSS = 2
const DOTS_UP = 4
/** Bits of a braille character by row of dots (from the top) and column. */
const DOT = [
  [0x01, 0x08],
  [0x02, 0x10],
  [0x04, 0x20],
  [0x40, 0x80],
] as const
const BRAILLE = 0x2800

/** From 0 up to a round value above the largest; a gap where there are no points. */
export function plotLines({ points, fromMs, stepMs, columns, rows, isOfBytes = false, format }: Plot): string[] {
  const highest = Math.max(0, ...points.filter((point) => point !== null))
  const top = isOfBytes ? roundBytesAbove(highest) : roundAbove(highest)
  const labels = Array.from({ length: rows }, (_, row) => (row % 2 === 0 ? format((top * (rows - row)) / rows) : ''))
  const labelWidth = Math.max(...labels.map((label) => label.length), format(0).length)
  const width = Math.max(10, columns - labelWidth - 2)
  const canvas = drawn(points, top, width, rows)
  const lines = canvas.map((cells, row) => {
    const text = String.fromCodePoint(...cells.map((bits) => (bits === 0 ? 0x20 : BRAILLE + bits)))
    return `${(labels[row] ?? '').padStart(labelWidth)} ┤${text}`.trimEnd()
  })
  return [
    ...lines,
    `${format(0).padStart(labelWidth)} └${'─'.repeat(width)}`,
    timeAxis(fromMs, stepMs * points.length, labelWidth + 2, width),
  ]
}

function drawn(points: (number | null)[], top: number, width: number, rows: number): number[][] {
  const canvas = Array.from({ length: rows }, () => new Array<number>(width).fill(0))
  const [across, up] = [width * DOTS_ACROSS, rows * DOTS_UP]
  let before: number | null = null
  for (let x = 0; x < across; x++) {
    const value = valueAt(points, x, across)
    const y: number | null = value === null ? null : Math.min(up - 1, Math.round((value / top) * (up - 1)))
    if (y !== null) {
      const [low, high] = before === null ? [y, y] : [Math.min(before, y), Math.max(before, y)]
      for (let dot = low; dot <= high; dot++) setDot(canvas, x, up - 1 - dot)
    }
    before = y
  }
  return canvas
}

/** More points than dots: the largest of those that share one, as a peak is what is looked for. */
function valueAt(points: (number | null)[], x: number, across: number): number | null {
  const from = Math.floor((x * points.length) / across)
  const to = Math.max(from + 1, Math.floor(((x + 1) * points.length) / across))
  const here = points.slice(from, to).filter((point) => point !== null)
  return here.length === 0 ? null : Math.max(...here)
}

function setDot(canvas: number[][], x: number, y: number): void {
  const row = canvas[Math.floor(y / DOTS_UP)]!
  const column = Math.floor(x / DOTS_ACROSS)
  row[column] = row[column]! | DOT[y % DOTS_UP]![x % DOTS_ACROSS]!
}

/** 1, 2 or 5 times a power of ten or a bit of it, so that the axis reads well; never 0. */
export function roundAbove(value: number): number {
  if (value <= 0) return 1
  const power = 10 ** Math.floor(Math.log10(value))
  const round = [1, 1.5, 2, 3, 5, 8, 10].find((factor) => factor * power >= value * 0.999_999) ?? 10
  return round * power
}

/** The same of bytes: so many of a unit that a quarter of them is whole, as labels stand at quarters. */
export function roundBytesAbove(value: number): number {
  let unit = 1
  while (value > 1024 * unit) unit *= 1024
  return unit * (QUARTERED.find((count) => count * unit >= value) ?? 1024)
}

const QUARTERED = [4, 8, 12, 16, 20, 24, 32, 40, 48, 64, 80, 96, 128, 160, 192, 256, 320, 400, 512, 640, 768, 1024]

/** Times under the axis: at its begin, middle and end, with the date when it spans more than a day. */
function timeAxis(fromMs: number, spanMs: number, indent: number, width: number): string {
  const times = [0, 0.5, 1].map((share) => timeText(fromMs + share * spanMs, spanMs))
  const [first, middle, last] = times as [string, string, string]
  const middleAt = Math.floor(width / 2 - middle.length / 2)
  const line = `${first.padEnd(middleAt)}${middle}`
  if (middleAt <= first.length || line.length + last.length >= width) return `${' '.repeat(indent)}${first}`
  return `${' '.repeat(indent)}${line.padEnd(width - last.length)}${last}`
}

function timeText(ms: number, spanMs: number): string {
  const iso = new Date(ms).toISOString()
  if (spanMs > 86_400_000) return `${iso.slice(5, 10)} ${iso.slice(11, 16)}`
  return spanMs < 600_000 ? iso.slice(11, 19) : iso.slice(11, 16)
}
