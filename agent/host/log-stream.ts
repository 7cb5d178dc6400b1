/**
 * One log stream: the parts of all its containers, interleaved as they come, through one bounded queue into the sink. While the
 * sink is full, parts that read the past wait (the lines are safe in their files); those that follow live drop the oldest lines.
 */
import type { LogOpen } from '../../shared/wire/down.ts'
import type { LogLine, TaskError } from '../../shared/wire/up.ts'
import type { ContainerHandle, LogSink } from '../parts.ts'
import { LineQueue } from './line-queue.ts'
import { type EngineLogs, type LogPart, openPart } from './log-part.ts'
import type { WantedLines } from './log-start.ts'

export type LogSources = {
  containers: () => ContainerHandle[]
  engineLogs?: EngineLogs
  /** Told of each line or gap that could not be read. */
  skipped: () => void
}

export const BATCH_DELAY_MS = 50
/** New containers of the tasks (a restart that made a new one) are looked for this often. */
const LOOK_MS = 500
/** A followed task may be between two containers; with none of them for so long, there will be no more lines. */
const GONE_MS = 30_000
/** Each part keeps a descriptor, a watch and a buffer of 32 KiB. */
export const PARTS_MAX = 256

export class LogStream {
  readonly #request: LogOpen
  readonly #sink: LogSink
  readonly #sources: LogSources
  readonly #onEnd: () => void
  readonly #tasks: Set<string>
  readonly #queue = new LineQueue()
  readonly #parts = new Map<string, LogPart>()
  /** Containers whose part has ended, and from when on to ask for more once they run again; null: not to be asked again. */
  readonly #done = new Map<string, number | null>()
  #error: TaskError | undefined
  #isBlocked = false
  #isClosed = false
  #batchTimer: NodeJS.Timeout | null = null
  #lookTimer: NodeJS.Timeout | null = null
  #goneSince: number | null = null

  constructor(request: LogOpen, sink: LogSink, sources: LogSources, onEnd: () => void) {
    this.#request = request
    this.#sink = sink
    this.#sources = sources
    this.#onEnd = onEnd
    this.#tasks = new Set(request.tasks)
  }

  /** May end the stream at once, when none of its tasks has a container here. */
  start(): void {
    const { tailLines, since: sinceMs, follow } = this.#request
    if (follow) this.#lookTimer = setInterval(() => this.#look({ sinceMs }), LOOK_MS)
    this.#look({ tailLines, sinceMs })
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    for (const part of this.#parts.values()) part.close()
    if (this.#batchTimer !== null) clearTimeout(this.#batchTimer)
    if (this.#lookTimer !== null) clearInterval(this.#lookTimer)
    this.#onEnd()
  }

  // ---------------------------------------------------------------- parts

  #look(wanted: WantedLines): void {
    const present = this.#sources.containers().filter(({ task }) => this.#tasks.has(task))
    for (const handle of present) {
      const { containerId } = handle
      if (this.#parts.has(containerId)) continue
      const again = this.#done.get(containerId)
      if (again === undefined) this.#open(handle, wanted)
      else if (again !== null && handle.pid > 0) this.#open(handle, { sinceMs: again })
    }
    const ids = new Set(present.map(({ containerId }) => containerId))
    for (const [id, part] of this.#parts) if (!ids.has(id)) part.finish()
    for (const id of this.#done.keys()) if (!ids.has(id)) this.#done.delete(id)
    this.#noteGone(present.length > 0)
  }

  #open(handle: ContainerHandle, wanted: WantedLines): void {
    const { containerId } = handle
    if (this.#parts.size >= PARTS_MAX) {
      this.#fail({ code: 'too-many-requests', message: `a log stream reads at most ${PARTS_MAX} containers of a node` })
      this.#done.set(containerId, null)
      return
    }
    let latestAt = (wanted.sinceMs ?? 0) - 1
    const part: LogPart = openPart({ handle, wanted, follow: this.#request.follow }, this.#sources.engineLogs, {
      line: (line) => {
        latestAt = line.at
        this.#accept(line, part)
      },
      skipped: this.#sources.skipped,
      ended: (error) => this.#partEnded(containerId, part.endsWithContainer ? latestAt + 1 : null, error),
    })
    this.#parts.set(containerId, part)
    if (this.#isBlocked && this.#queue.isFull) part.pause()
  }

  #partEnded(containerId: string, askAgainFrom: number | null, error: Error | undefined): void {
    this.#parts.delete(containerId)
    this.#done.set(containerId, this.#request.follow ? askAgainFrom : null)
    if (error !== undefined) this.#fail({ code: 'failed', message: error.message.slice(0, 4096) })
    this.#endIfDone()
  }

  #fail(error: TaskError): void {
    this.#error ??= error
  }

  #noteGone(isPresent: boolean): void {
    if (isPresent) this.#goneSince = null
    else this.#goneSince ??= performance.now()
    this.#endIfDone()
  }

  // ---------------------------------------------------------------- lines

  #accept(line: LogLine, part: LogPart): void {
    if (this.#isClosed) return
    if (this.#queue.isFull && part.isLive) this.#queue.dropOldest()
    this.#queue.add(line)
    if (this.#queue.isFull) this.#pausePast()
    if (this.#queue.hasBatch) this.#flush()
    else this.#batchTimer ??= setTimeout(() => this.#flush(), BATCH_DELAY_MS)
  }

  #pausePast(): void {
    for (const part of this.#parts.values()) if (!part.isLive) part.pause()
  }

  #flush(): void {
    if (this.#batchTimer !== null) clearTimeout(this.#batchTimer)
    this.#batchTimer = null
    while (!this.#isBlocked && !this.#isClosed && !this.#queue.isEmpty) {
      const { lines, dropped } = this.#queue.takeBatch()
      if (!this.#sink.lines(this.#request.stream, lines, dropped)) this.#waitForSink()
    }
    if (!this.#queue.isFull) for (const part of this.#parts.values()) part.resume()
    this.#endIfDone()
  }

  #waitForSink(): void {
    this.#isBlocked = true
    this.#sink.drained().then(
      () => {
        this.#isBlocked = false
        this.#flush()
      },
      () => this.close(),
    )
  }

  #endIfDone(): void {
    if (this.#isClosed || this.#parts.size > 0) return
    if (this.#request.follow && !this.#isGoneForGood()) return
    if (!this.#queue.isEmpty) {
      if (!this.#isBlocked && this.#batchTimer === null) this.#batchTimer = setTimeout(() => this.#flush(), 0)
      return
    }
    this.close()
    this.#sink.end(this.#request.stream, this.#error)
  }

  #isGoneForGood(): boolean {
    return this.#goneSince !== null && performance.now() - this.#goneSince >= GONE_MS
  }
}
