/**
 * The log of a container whose Engine gives no file, as a spool: the Engine's own stream, written down in the json-file format.
 * The same lines make the same bytes, so a place in them means the same in another life of this process: to go on behind it,
 * the stream is read again and what is before it left out.
 */
import type { Readable } from 'node:stream'
import { LOG_BLOCK_BYTES_MAX, type LogPlace } from '../../shared/wire/log-block.ts'
import type { LogLine } from '../../shared/wire/up.ts'
import { EngineLogParser } from './engine-log.ts'
import type { EngineLogs } from './log-part.ts'
import type { SpoolBlock } from './log-spool.ts'

/** The file of a place in the Engine's stream. */
export const ENGINE_FILE = 'engine'
/** More is not read from the Engine before this is taken. */
const WAITING_BYTES_MAX = 2 * LOG_BLOCK_BYTES_MAX

export type EngineSpoolEvents = {
  /** There is something to take. */
  ready(): void
  /** The stream has ended: with its container, or since it cannot be read. */
  ended(error?: Error): void
}

export class EngineSpool {
  readonly #abort = new AbortController()
  readonly #events: EngineSpoolEvents
  readonly #start: number
  #stream: Readable | null = null
  #waiting: Buffer[] = []
  #waitingBytes = 0
  #offset = 0
  #after: LogPlace | null
  isEnded = false

  constructor(
    engineLogs: EngineLogs,
    container: { task: string; containerId: string },
    place: LogPlace | null,
    events: EngineSpoolEvents,
  ) {
    this.#events = events
    this.#after = place
    this.#start = place?.offset ?? 0
    engineLogs(container.containerId, { follow: true }, this.#abort.signal).then(
      (stream) => this.#read(stream, container.task),
      (error: unknown) => this.#end(error instanceof Error ? error : new Error(String(error))),
    )
  }

  look(): void {}

  next(): SpoolBlock | null {
    const first = this.#waiting.shift()
    if (first === undefined) return null
    const lines = [first]
    let length = first.length
    while (this.#waiting.length > 0 && length + this.#waiting[0]!.length <= LOG_BLOCK_BYTES_MAX) {
      const line = this.#waiting.shift()!
      lines.push(line)
      length += line.length
    }
    this.#waitingBytes -= length
    if (this.#waitingBytes < WAITING_BYTES_MAX) this.#stream?.resume()
    const offset = this.#offset
    const after = this.#after
    this.#offset += length
    this.#after = { file: ENGINE_FILE, offset: this.#offset }
    return { file: ENGINE_FILE, offset, end: this.#offset, after, bytes: Buffer.concat(lines), gap: false }
  }

  close(): void {
    this.isEnded = true
    this.#abort.abort()
    this.#stream?.destroy()
  }

  #read(stream: Readable, task: string): void {
    stream.on('error', (error) => this.#end(error))
    if (this.isEnded) return void stream.destroy()
    this.#stream = stream
    // A line without a time gets the same in each life.
    const parser = new EngineLogParser(task, () => 0)
    let passed = 0
    const take = (lines: LogLine[]) => {
      for (const line of lines) {
        const bytes = jsonLine(line)
        passed += bytes.length
        if (passed <= this.#start) {
          this.#offset = passed
          continue
        }
        this.#waiting.push(bytes)
        this.#waitingBytes += bytes.length
      }
      if (this.#waitingBytes >= WAITING_BYTES_MAX) stream.pause()
      if (lines.length > 0) this.#events.ready()
    }
    const guarded = (parse: () => LogLine[]) => {
      try {
        take(parse())
      } catch (error) {
        this.#end(error instanceof Error ? error : new Error(String(error)))
      }
    }
    stream.on('data', (bytes: Buffer) => guarded(() => parser.add(bytes)))
    stream.on('end', () => {
      guarded(() => parser.end())
      this.#end()
    })
  }

  #end(error?: Error): void {
    if (this.isEnded) return
    this.isEnded = true
    this.#events.ended(error)
  }
}

/** As the Engine would have written it; a line longer than a block is cut, as one block must hold it. */
function jsonLine({ at, source, text }: LogLine): Buffer {
  const fraction = String(Math.floor((at % 1) * 1e6)).padStart(6, '0')
  const time = new Date(at).toISOString().replace('Z', `${fraction}Z`)
  const bytes = Buffer.from(`${JSON.stringify({ log: `${text}\n`, stream: source, time })}\n`)
  if (bytes.length <= LOG_BLOCK_BYTES_MAX) return bytes
  return jsonLine({ task: '', at, source, text: text.slice(0, text.length >> 1) })
}
