/**
 * Live logs, merged from the agents that hold the tasks. Each reader has a window of lines per node (see `log-more`), so its queue
 * is bounded by what it has not taken yet: a slow reader slows its own streams at their agents, and nothing else.
 */
import type { Instant } from '../../shared/clock.ts'
import { BerthError } from '../../shared/errors.ts'
import type { DownMessage } from '../../shared/wire/down.ts'
import type { LogEnd, LogLines } from '../../shared/wire/up.ts'
import type { LogBatch, LogReader } from '../core.ts'
import { type LogQuery, LogReading } from './log-reading.ts'

export type LogStreams = LogReader & {
  lines(node: string, message: LogLines): void
  ended(node: string, message: LogEnd): void
  nodeOpened(node: string): void
  nodeClosed(node: string): void
  /** Once a second: what has ended or has nothing left to give. */
  sweep(): void
  closeAll(): void
}

export type LogStreamsNeeds = {
  isOpen(node: string): boolean
  send(node: string, message: DownMessage): void
  readersMax: number
  dropped(lines: number): void
  now(): Instant
}

/** A task that is over may have last lines under way for so long; nothing of it having come meanwhile, there are none. */
export const LAST_LINES_MS = 5_000
/** For a slow reader last lines take longer. */
const FORGOTTEN_MS = 60_000
/** Between two tries to have a stream that an agent has ended by itself. */
const REOPEN_MS = 5_000

type Reader = { reading: LogReading; wake: (() => void) | null }

export function createLogStreams(needs: LogStreamsNeeds): LogStreams {
  const readers = new Map<string, Reader>()
  let streams = 0
  let isClosed = false

  async function* read(query: LogQuery): AsyncGenerator<LogBatch> {
    if (readers.size >= needs.readersMax) throw tooManyReaders(needs.readersMax)
    const reading = new LogReading(`log-${++streams}`, query)
    const reader: Reader = { reading, wake: null }
    const wake = () => wakeUp(reader)
    readers.set(reading.stream, reader)
    query.signal.addEventListener('abort', wake)
    for (const node of reading.nodes()) open(reading, node)
    const stopWatching = query.watch?.((targets) => {
      for (const [node, tasks] of reading.retarget(targets, needs.now())) add(reading, node, tasks)
      wake()
    })
    try {
      for (;;) {
        if (reading.hasMore) yield takeBatch(reading)
        if (query.signal.aborted) return
        if (reading.hasMore) continue
        if (isClosed) throw stopping()
        if (reading.streams.size === 0 && (!query.follow || isOver(reading))) return
        await new Promise<void>((resolve) => {
          reader.wake = resolve
        })
      }
    } finally {
      stopWatching?.()
      query.signal.removeEventListener('abort', wake)
      readers.delete(reading.stream)
      for (const node of reading.streams.keys()) close(reading, node)
    }
  }

  function open(reading: LogReading, node: string): void {
    if (!needs.isOpen(node)) {
      reading.missing(node)
      return
    }
    const { stream, query } = reading
    const { tasks, from } = reading.request(node)
    if (tasks.length === 0) return
    const window = reading.opened(node, needs.now())
    const { tailLines, since, follow } = query
    needs.send(node, { kind: 'log-open', stream, tasks, tailLines, since, from, follow, window })
  }

  function add(reading: LogReading, node: string, tasks: string[]): void {
    if (!reading.streams.has(node)) open(reading, node)
    else needs.send(node, { kind: 'log-add', stream: reading.stream, tasks, since: reading.query.since })
  }

  function close(reading: LogReading, node: string): void {
    reading.closed(node)
    needs.send(node, { kind: 'log-close', stream: reading.stream })
  }

  function takeBatch(reading: LogReading): LogBatch {
    const batch = reading.takeBatch()
    grant(reading)
    return batch
  }

  function grant(reading: LogReading): void {
    for (const [node, lines] of reading.takeGrants()) {
      needs.send(node, { kind: 'log-more', stream: reading.stream, lines })
    }
  }

  function sweepReader(reader: Reader): void {
    const { reading } = reader
    const now = needs.now()
    for (const node of reading.idleNodes(now, LAST_LINES_MS)) close(reading, node)
    reading.forgetLeft(now, FORGOTTEN_MS)
    for (const [node, at] of reading.endedAt) {
      if (now - at < REOPEN_MS) continue
      reading.endedAt.delete(node)
      if (reading.nodes().includes(node)) open(reading, node)
    }
    if (isOver(reading)) wakeUp(reader)
  }

  const isOver = ({ goneAt }: LogReading) => goneAt !== null && needs.now() - goneAt >= LAST_LINES_MS

  return {
    read,
    lines(node, { stream, lines, dropped, failures = [] }) {
      const reader = readers.get(stream)
      // Lines may still be on their way when a reader has gone.
      if (reader === undefined) return
      needs.dropped(reader.reading.take(node, lines, dropped, needs.now()))
      reader.reading.failed(node, failures)
      if (reader.reading.hasMore) wakeUp(reader)
      else grant(reader.reading)
    },
    ended(node, { stream, error }) {
      const reader = readers.get(stream)
      if (reader === undefined || !reader.reading.streams.has(node)) return
      const { reading } = reader
      reading.closed(node)
      if (error !== undefined) reading.failed(node, [{ task: null, ...error }])
      // One that follows should not have ended, whatever was in its way.
      if (reading.query.follow) reading.endedAt.set(node, needs.now())
      wakeUp(reader)
    },
    nodeOpened(node) {
      for (const { reading } of readers.values()) {
        if (reading.query.follow && !reading.streams.has(node) && reading.nodes().includes(node)) open(reading, node)
      }
    },
    nodeClosed(node) {
      for (const reader of readers.values()) {
        if (!reader.reading.streams.has(node)) continue
        reader.reading.closed(node)
        reader.reading.missing(node)
        wakeUp(reader)
      }
    },
    sweep() {
      for (const reader of readers.values()) if (reader.reading.query.follow) sweepReader(reader)
    },
    closeAll() {
      isClosed = true
      for (const reader of readers.values()) wakeUp(reader)
    },
  }
}

function wakeUp(reader: Reader): void {
  const { wake } = reader
  reader.wake = null
  wake?.()
}

function tooManyReaders(readersMax: number): BerthError {
  return new BerthError(
    'too-many-requests',
    `${readersMax} readers of logs are connected already; try again when one has gone`,
  )
}

function stopping(): BerthError {
  return new BerthError('unreachable', 'the coordinator stops; containers go on')
}
