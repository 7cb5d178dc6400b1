/** Where the command writes: answers to stdout, everything about them to stderr, colour only on a terminal. */
import { once } from 'node:events'
import { styleText } from 'node:util'
import { forTerminal } from './terminal-text.ts'

export type Style = 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'blue' | 'magenta' | 'cyan'

export type Output = {
  /** A line of the answer. */
  line(text: string): void
  /** A line about the answer: progress, warnings, hints. */
  note(text: string): void
  /** The answer as data: one JSON document. */
  document(value: unknown): void
  /** One JSON value a line, for streams. */
  record(value: unknown): void
  /** As it is, even on a terminal. */
  raw(text: string): void
  /** Resolves when whoever reads our answer has taken what was written, so that nothing piles up for `less`. */
  drained(): Promise<void>
  readonly isTerminal: boolean
  /** Infinite where nobody looks at a screen: whoever searches in a table needs all that is in its cells. */
  readonly columns: number
  readonly rows: number
  paint(style: Style, text: string): string
}

const ROWS_DEFAULT = 24

export function processOutput(env: NodeJS.ProcessEnv = process.env): Output {
  const { stdout, stderr } = process
  // A reader that goes away (`| head`) is no failure of ours.
  stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1))
  const isTerminal = stdout.isTTY === true
  const isColoured = isTerminal && (env.NO_COLOR ?? '') === '' && env.TERM !== 'dumb'
  const write = isTerminal ? (text: string) => void stdout.write(text) : gatherer(stdout)
  return {
    line: (text) => write(`${isTerminal ? forTerminal(text, isColoured) : text}\n`),
    note: (text) => void stderr.write(`${stderr.isTTY ? forTerminal(text, isColoured) : text}\n`),
    document: (value) => write(`${JSON.stringify(value, null, 2)}\n`),
    record: (value) => write(`${JSON.stringify(value)}\n`),
    raw: write,
    async drained() {
      if (stdout.writableNeedDrain) await once(stdout, 'drain')
    },
    isTerminal: isTerminal && env.TERM !== 'dumb',
    get columns() {
      return stdout.columns ?? Number.POSITIVE_INFINITY
    },
    get rows() {
      return stdout.rows ?? ROWS_DEFAULT
    },
    paint: (style, text) => (isColoured ? styleText(style, text, { validateStream: false }) : text),
  }
}

const GATHERED_CHARS = 64 * 1024

/** What is written in one turn of the event loop goes out together: a call of the system for each of many lines takes longer than they do. */
function gatherer(stream: NodeJS.WriteStream): (text: string) => void {
  let gathered = ''
  const flush = () => {
    const text = gathered
    gathered = ''
    if (text !== '') stream.write(text)
  }
  process.on('exit', flush)
  return (text) => {
    if (gathered === '') setImmediate(flush)
    gathered += text
    if (gathered.length >= GATHERED_CHARS) flush()
  }
}
