/**
 * One log stream: the parts of all its containers, interleaved as they come, through one bounded queue into the sink. While the
 * sink is full, parts that read the past wait (the lines are safe in their files); those that follow live drop the oldest lines.
 */
import { advance, type LogPosition, passOver } from '../../shared/log-position.ts'
import { WIRE_TEXT_CHARS_MAX, wellFormedBrief } from '../../shared/text.ts'
import type { LogAdd, LogOpen } from '../../shared/wire/down.ts'
import type { LogLine } from '../../shared/wire/up.ts'
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
/** Between two tries to read a log that could not be read: the Engine may be away for a while. */
const RETRY_MS = 5_000
/** Each part keeps a descriptor, a watch and a buffer of 32 KiB. */
export const PARTS_MAX = 256

/** Where a part that ended goes on: behind the lines it has given, or as it began when it gave none. */
type Again = { wanted: WantedLines; position: LogPosition | null; notBefore: number }

export class LogStream {
  readonly #request: LogOpen
  readonly #sink: LogSink
  readonly #sources: LogSources
  readonly #onEnd: () => void
  readonly #tasks: Set<string>
  readonly #queue = new LineQueue()
  readonly #parts = new Map<string, LogPart>()
  /** Of each task: where its lines begin. Containers that are made later begin with their first line. */
  readonly #from: Map<string, number>
  /** Containers whose part has ended, and how to go on once they run again; null: not to be asked again. */
  readonly #done = new Map<string, Again | null>()
  /** Containers of which it was said that their log cannot be read. */
  readonly #failed = new Set<string>()
  #isBlocked = false
  #isClosed = false
  #batchTimer: NodeJS.Timeout | null = null
  #lookTimer: NodeJS.Timeout | null = null

  constructor(request: LogOpen, sink: LogSink, sources: LogSources, onEnd: () => void) {
    this.#request = request
    this.#sink = sink
    this.#sources = sources
    this.#onEnd = onEnd
    this.#tasks = new Set(request.tasks)
    this.#from = new Map(Object.entries(request.from ?? {}))
  }

  /** May end the stream at once, when none of its tasks has a container here. */
  start(): void {
    const { tailLines, since: sinceMs, follow } = this.#request
    if (follow) this.#lookTimer = setInterval(() => this.#look({ sinceMs }), LOOK_MS)
    this.#look({ tailLines, sinceMs })
  }

  /** These tasks are new: all their lines count. */
  add({ tasks, since: sinceMs }: LogAdd): void {
    if (this.#isClosed) return
    for (const task of tasks) this.#tasks.add(task)
    this.#look({ sinceMs })
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
      if (this.#parts.has(handle.containerId)) continue
      const again = this.#done.get(handle.containerId)
      if (again === undefined) this.#open(handle, this.#wantedOf(handle.task, wanted))
      else if (again !== null && handle.pid > 0 && performance.now() >= again.notBefore) this.#openAgain(handle, again)
    }
    const ids = new Set(present.map(({ containerId }) => containerId))
    for (const [id, part] of this.#parts) if (!ids.has(id)) part.finish()
    for (const id of this.#done.keys()) if (!ids.has(id)) this.#done.delete(id)
    for (const id of this.#failed) if (!ids.has(id)) this.#failed.delete(id)
    this.#endIfDone()
  }

  #wantedOf(task: string, wanted: WantedLines): WantedLines {
    const sinceMs = this.#from.get(task)
    return sinceMs === undefined ? wanted : { sinceMs }
  }

  /** The Engine counts times its own way: asked a little earlier, and told apart here. */
  #openAgain(handle: ContainerHandle, { wanted, position }: Again): void {
    if (position === null) this.#open(handle, wanted)
    else this.#open(handle, { sinceMs: Math.max(0, position.at - 1) }, position)
  }

  #open(handle: ContainerHandle, wanted: WantedLines, after: LogPosition | null = null): void {
    const { containerId } = handle
    if (this.#parts.size >= PARTS_MAX) {
      this.#done.set(containerId, null)
      this.#fail(handle, 'too-many-requests', `a log stream reads at most ${PARTS_MAX} containers of a node`)
      return
    }
    // Who wants no past has had all of it.
    let position = after ?? (wanted.tailLines === 0 ? { at: Date.now(), lines: 0 } : null)
    const isHad = after === null ? () => false : passOver(after)
    const part: LogPart = openPart({ handle, wanted, follow: this.#request.follow }, this.#sources.engineLogs, {
      line: (line) => {
        if (isHad(line.at)) return
        position = advance(position, line.at)
        this.#accept(line, part)
      },
      skipped: this.#sources.skipped,
      ended: (error) => {
        const isAskedAgain = this.#request.follow && part.endsWithContainer
        const again = error === undefined ? { sinceMs: wanted.sinceMs } : wanted
        const notBefore = error === undefined ? 0 : performance.now() + RETRY_MS
        this.#partEnded(handle, isAskedAgain ? { wanted: again, position, notBefore } : null, error)
      },
    })
    this.#parts.set(containerId, part)
    if (this.#isBlocked && this.#queue.isFull) part.pause()
  }

  #partEnded(handle: ContainerHandle, again: Again | null, error: Error | undefined): void {
    this.#parts.delete(handle.containerId)
    this.#done.set(handle.containerId, again)
    if (error !== undefined) this.#fail(handle, 'failed', wellFormedBrief(error.message, WIRE_TEXT_CHARS_MAX))
    this.#endIfDone()
  }

  /** Said once for each container. */
  #fail({ containerId, task }: ContainerHandle, code: string, message: string): void {
    if (this.#isClosed || this.#failed.has(containerId)) return
    this.#failed.add(containerId)
    this.#sink.failed(this.#request.stream, { task, code, message })
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
    if (this.#request.follow) return
    if (!this.#queue.isEmpty) {
      if (!this.#isBlocked && this.#batchTimer === null) this.#batchTimer = setTimeout(() => this.#flush(), 0)
      return
    }
    this.close()
    this.#sink.end(this.#request.stream)
  }
}
