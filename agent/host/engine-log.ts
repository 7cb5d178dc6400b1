/** Reads the Engine's own log stream: frames with an 8-byte header each, or the bare output of a container with a terminal. */
import { StringDecoder } from 'node:string_decoder'
import { type JsonLogPiece, LineJoiner } from '../../shared/json-log.ts'
import { parseLogTime } from '../../shared/log-time.ts'
import type { LogLine } from '../../shared/wire/up.ts'

const HEADER_BYTES = 8
/** The Engine's frames are one line or 16 KiB; a larger one is no frame. */
const FRAME_BYTES_MAX = 1024 * 1024

/** Bytes of one container's stream in, lines out. Each line begins with the time that the Engine was asked to put before it. */
export class EngineLogParser {
  readonly #now: () => number
  readonly #joiner: LineJoiner
  readonly #texts = new Map<LogLine['source'], { decoder: StringDecoder; text: string }>()
  #bytes: Buffer = Buffer.alloc(0)
  #isFramed: boolean | null = null

  constructor(task: string, now: () => number) {
    this.#now = now
    this.#joiner = new LineJoiner(task)
  }

  add(chunk: Buffer): LogLine[] {
    this.#bytes = Buffer.concat([this.#bytes, chunk])
    if (this.#isFramed === null) {
      if (this.#bytes.length < HEADER_BYTES) return []
      this.#isFramed = isHeader(this.#bytes)
    }
    return this.#isFramed ? this.#takeFrames() : this.#takeText('stdout', this.#takeAll())
  }

  end(): LogLine[] {
    const left = this.#isFramed ? [] : this.#takeText('stdout', this.#takeAll())
    const begun = [...this.#texts].flatMap(([source, { text }]) => (text === '' ? [] : this.#line(source, text)))
    return [...left, ...begun, ...this.#joiner.takeBegun()]
  }

  #takeFrames(): LogLine[] {
    const lines: LogLine[] = []
    while (this.#bytes.length >= HEADER_BYTES) {
      if (!isHeader(this.#bytes)) throw new Error('the Engine sent something that is no frame of a log')
      const size = this.#bytes.readUInt32BE(4)
      if (this.#bytes.length < HEADER_BYTES + size) break
      const source = this.#bytes[0] === 2 ? 'stderr' : 'stdout'
      lines.push(...this.#takeText(source, this.#bytes.subarray(HEADER_BYTES, HEADER_BYTES + size)))
      this.#bytes = this.#bytes.subarray(HEADER_BYTES + size)
    }
    return lines
  }

  #takeText(source: LogLine['source'], bytes: Buffer): LogLine[] {
    const begun = this.#texts.get(source) ?? { decoder: new StringDecoder('utf8'), text: '' }
    const pieces = (begun.text + begun.decoder.write(bytes)).split('\n')
    begun.text = pieces.pop() ?? ''
    this.#texts.set(source, begun)
    return pieces.flatMap((text) => this.#line(source, `${text}\n`))
  }

  #line(source: LogLine['source'], text: string): LogLine[] {
    const line = this.#joiner.add(readTime(source, text, this.#now))
    return line === null ? [] : [line]
  }

  #takeAll(): Buffer {
    const bytes = this.#bytes
    this.#bytes = Buffer.alloc(0)
    return bytes
  }
}

function isHeader(bytes: Buffer): boolean {
  const isStart = bytes[0]! <= 2 && bytes[1] === 0 && bytes[2] === 0 && bytes[3] === 0
  return isStart && bytes.readUInt32BE(4) <= FRAME_BYTES_MAX
}

/** `2026-11-23T10:04:11.123456789Z the text`; without a time it is now. */
function readTime(source: LogLine['source'], text: string, now: () => number): JsonLogPiece {
  const space = text.indexOf(' ')
  const isTime = space >= 20 && space <= 35 && /^\d{4}-\d\d-\d\dT/.test(text)
  const atMs = isTime ? parseLogTime(text.slice(0, space)) : Number.NaN
  const rest = Number.isNaN(atMs) ? text : text.slice(space + 1)
  const endsLine = rest.endsWith('\n')
  const line = endsLine ? rest.slice(0, -1) : rest
  return { atMs: Number.isNaN(atMs) ? now() : atMs, source, text: line, endsLine }
}
