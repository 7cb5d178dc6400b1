/**
 * Live logs, merged from the agents that hold the tasks. Each reader has a window of lines per node (see `log-more`), so its queue
 * is bounded by what it has not taken yet: a slow reader slows its own streams at their agents, and nothing else.
 */
import { BerthError } from '../../shared/errors.ts'
import type { DownMessage } from '../../shared/wire/down.ts'
import { LOG_WINDOW_LINES } from '../../shared/wire/log-window.ts'
import type { LogEnd, LogLine, LogLines } from '../../shared/wire/up.ts'
import type { LogBatch, LogReader } from '../core.ts'

export type LogStreams = LogReader & {
  lines(node: string, message: LogLines): void
  ended(node: string, message: LogEnd): void
  nodeOpened(node: string): void
  nodeClosed(node: string): void
  closeAll(): void
}

export type LogStreamsNeeds = {
  isOpen(node: string): boolean
  send(node: string, message: DownMessage): void
  readersMax: number
  dropped(lines: number): void
}

/** An agent looks at its window between batches, so the last may go over; one that goes on regardless loses its lines. */
const OVERSHOOT_LINES_MAX = 10_000

type Query = Parameters<LogReader['read']>[0]

type Reader = {
  stream: string
  query: Query
  tasksByNode: Map<string, string[]>
  /** Nodes whose stream is open, with how many lines they may still send. */
  windows: Map<string, number>
  queue: LogLine[]
  /** Lines of the queue by the node that sent them: what it may send again once they are taken. */
  taken: Map<string, number>
  dropped: number
  missing: Set<string>
  /** Of the latest line from each node: where to go on when it comes back. */
  latestAt: Map<string, number>
  wake: (() => void) | null
}

export function createLogStreams(needs: LogStreamsNeeds): LogStreams {
  const readers = new Map<string, Reader>()
  let streams = 0

  async function* read(query: Query): AsyncGenerator<LogBatch> {
    if (readers.size >= needs.readersMax) throw tooManyReaders(needs.readersMax)
    const reader = newReader(`log-${++streams}`, query)
    const wake = () => wakeUp(reader)
    readers.set(reader.stream, reader)
    query.signal.addEventListener('abort', wake)
    try {
      for (const node of reader.tasksByNode.keys()) open(reader, node, query.tailLines, query.since)
      for (;;) {
        const batch = takeBatch(reader)
        if (batch !== null) yield batch
        if (query.signal.aborted) return
        if (hasMore(reader)) continue
        if (reader.windows.size === 0 && !query.follow) return
        await new Promise<void>((resolve) => {
          reader.wake = resolve
        })
      }
    } finally {
      query.signal.removeEventListener('abort', wake)
      readers.delete(reader.stream)
      for (const node of reader.windows.keys()) needs.send(node, { kind: 'log-close', stream: reader.stream })
    }
  }

  function open(reader: Reader, node: string, tailLines?: number, since?: number): void {
    if (!needs.isOpen(node)) {
      reader.missing.add(node)
      return
    }
    reader.windows.set(node, LOG_WINDOW_LINES)
    const { stream, query } = reader
    const tasks = reader.tasksByNode.get(node) ?? []
    needs.send(node, { kind: 'log-open', stream, tasks, tailLines, since, follow: query.follow })
  }

  /** Gives out all that waits, and lets the nodes send as much again. */
  function takeBatch(reader: Reader): LogBatch | null {
    if (!hasMore(reader)) return null
    const batch = { lines: reader.queue, dropped: reader.dropped, missingNodes: [...reader.missing] }
    for (const [node, lines] of reader.taken) {
      const window = reader.windows.get(node)
      if (window === undefined) continue
      reader.windows.set(node, window + lines)
      needs.send(node, { kind: 'log-more', stream: reader.stream, lines })
    }
    reader.queue = []
    reader.dropped = 0
    reader.missing = new Set()
    reader.taken.clear()
    return batch
  }

  return {
    read,
    lines(node, { stream, lines, dropped }) {
      const reader = readers.get(stream)
      const window = reader?.windows.get(node)
      // Lines may still be on their way when a reader has gone.
      if (reader === undefined || window === undefined) return
      const fitting = window > -OVERSHOOT_LINES_MAX ? lines : []
      for (const line of fitting) reader.queue.push(line)
      reader.windows.set(node, window - fitting.length)
      reader.taken.set(node, (reader.taken.get(node) ?? 0) + fitting.length)
      const lost = dropped + lines.length - fitting.length
      reader.dropped += lost
      needs.dropped(lost)
      const latest = fitting.at(-1)
      if (latest !== undefined) reader.latestAt.set(node, latest.at)
      wakeUp(reader)
    },
    ended(node, { stream }) {
      const reader = readers.get(stream)
      if (reader === undefined) return
      reader.windows.delete(node)
      reader.tasksByNode.delete(node)
      wakeUp(reader)
    },
    nodeOpened(node) {
      for (const reader of readers.values()) {
        if (!reader.query.follow || !reader.tasksByNode.has(node) || reader.windows.has(node)) continue
        const latestAt = reader.latestAt.get(node)
        if (latestAt === undefined) open(reader, node, reader.query.tailLines, reader.query.since)
        else open(reader, node, undefined, latestAt + 1)
      }
    },
    nodeClosed(node) {
      for (const reader of readers.values()) {
        if (!reader.windows.delete(node)) continue
        reader.missing.add(node)
        wakeUp(reader)
      }
    },
    closeAll() {
      for (const reader of readers.values()) {
        reader.windows.clear()
        wakeUp(reader)
      }
    },
  }
}

function newReader(stream: string, query: Query): Reader {
  const tasksByNode = new Map<string, string[]>()
  for (const { task, node } of query.tasks) {
    const tasks = tasksByNode.get(node)
    if (tasks === undefined) tasksByNode.set(node, [task])
    else tasks.push(task)
  }
  return {
    stream,
    query,
    tasksByNode,
    windows: new Map(),
    queue: [],
    taken: new Map(),
    dropped: 0,
    missing: new Set(),
    latestAt: new Map(),
    wake: null,
  }
}

function hasMore(reader: Reader): boolean {
  return reader.queue.length > 0 || reader.dropped > 0 || reader.missing.size > 0
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
