/**
 * Log streams on their way to the coordinator: each has a window of lines that the reader at the other end opens as it takes them,
 * and all of them wait while the socket is full, so that logs never stand in the way of observations for long.
 */
import type { LogAdd, LogMore, LogOpen } from '../../shared/wire/down.ts'
import { LOG_WINDOW_LINES, weightOf } from '../../shared/wire/log-window.ts'
import type { UpMessage } from '../../shared/wire/up.ts'
import type { LogSink, LogTail } from '../parts.ts'

/** Above this much unsent, streams wait. */
export const LOG_BUFFERED_BYTES_MAX = 256 * 1024
export const LOG_STREAMS_MAX = 256
/** A frame of lines: long lines make a batch of few. */
const BATCH_BYTES_MAX = 4 * 1024 * 1024
const BATCH_LINES_MAX = 2_000

export type LogSinks = {
  open(request: LogOpen): void
  add(request: LogAdd): void
  more(message: LogMore): void
  close(stream: string): void
  closeAll(): void
  /** The socket has taken what was sent. */
  flushed(): void
}

export type LogSinksNeeds = {
  tail: LogTail
  send(message: UpMessage): void
  bufferedBytes(): number
}

type Stream = { window: number; waiting: (() => void)[]; gone: boolean }

export function createLogSinks({ tail, send, bufferedBytes }: LogSinksNeeds): LogSinks {
  const streams = new Map<string, Stream>()

  const mayGoOn = (stream: Stream) => stream.window > 0 && bufferedBytes() < LOG_BUFFERED_BYTES_MAX
  function wake(stream: Stream): void {
    if (mayGoOn(stream)) release(stream)
  }
  /** Whoever waits on a stream that has gone must not wait for ever. */
  function forget(id: string): void {
    const stream = streams.get(id)
    if (stream === undefined) return
    streams.delete(id)
    stream.gone = true
    release(stream)
  }

  function sinkOf(stream: Stream): LogSink {
    return {
      lines(id, lines, dropped) {
        if (streams.get(id) !== stream) return true
        stream.window -= weightOf(lines)
        let lost = dropped
        for (const batch of batches(lines)) {
          send({ kind: 'log-lines', stream: id, lines: batch, dropped: lost })
          lost = 0
        }
        if (lost > 0) send({ kind: 'log-lines', stream: id, lines: [], dropped: lost })
        return mayGoOn(stream)
      },
      drained: () =>
        new Promise((resolve) => {
          stream.waiting.push(resolve)
          if (stream.gone) release(stream)
          else wake(stream)
        }),
      failed(id, failure) {
        if (streams.get(id) !== stream) return
        send({ kind: 'log-lines', stream: id, lines: [], dropped: 0, failures: [failure] })
      },
      end(id, error) {
        if (streams.get(id) !== stream) return
        forget(id)
        send({ kind: 'log-end', stream: id, error })
      },
    }
  }

  return {
    open(request) {
      if (streams.size >= LOG_STREAMS_MAX) {
        const message = `this host has ${LOG_STREAMS_MAX} log streams open already`
        send({ kind: 'log-end', stream: request.stream, error: { code: 'too-many-requests', message } })
        return
      }
      const stream = { window: request.window ?? LOG_WINDOW_LINES, waiting: [], gone: false }
      streams.set(request.stream, stream)
      tail.open(request, sinkOf(stream))
    },
    add(request) {
      if (streams.has(request.stream)) tail.add(request)
    },
    more({ stream: id, lines }) {
      const stream = streams.get(id)
      if (stream === undefined) return
      stream.window += lines
      wake(stream)
    },
    close(id) {
      if (!streams.has(id)) return
      tail.close(id)
      forget(id)
    },
    closeAll() {
      tail.closeAll()
      for (const id of [...streams.keys()]) forget(id)
    },
    flushed() {
      for (const stream of streams.values()) wake(stream)
    },
  }
}

function release(stream: Stream): void {
  for (const resolve of stream.waiting.splice(0)) resolve()
}

function* batches<Line extends { text: string }>(lines: Line[]): Generator<Line[]> {
  let batch: Line[] = []
  let bytes = 0
  for (const line of lines) {
    // At most four bytes a character: no need to count exactly.
    const lineBytes = 4 * line.text.length
    if (batch.length > 0 && (batch.length === BATCH_LINES_MAX || bytes + lineBytes > BATCH_BYTES_MAX)) {
      yield batch
      batch = []
      bytes = 0
    }
    batch.push(line)
    bytes += lineBytes
  }
  if (batch.length > 0) yield batch
}
