import type { LogAdd, LogOpen } from '../../shared/wire/down.ts'
import type { ContainerHandle, LogSink, LogTail } from '../parts.ts'
import type { EngineLogs } from './log-part.ts'
import { LogStream } from './log-stream.ts'

export const STREAMS_MAX = 64

export type LogTailOptions = {
  containers: () => ContainerHandle[]
  /** The Engine's own stream, with times, for logs whose file cannot be read. Without it, such a log is an error. */
  engineLogs?: EngineLogs
}

/** `skippedLines`: how many lines of log files were no lines, and how many gaps there were, since the start. */
export function createLogTail(options: LogTailOptions): LogTail & { readonly skippedLines: number } {
  const streams = new Map<string, LogStream>()
  let skippedLines = 0
  const sources = { ...options, skipped: () => void skippedLines++ }

  return {
    get skippedLines() {
      return skippedLines
    },

    open(request: LogOpen, sink: LogSink) {
      const refuse = (code: string, message: string) => sink.end(request.stream, { code, message })
      if (streams.has(request.stream)) return refuse('conflict', `log stream ${request.stream} is open already`)
      if (streams.size >= STREAMS_MAX) {
        return refuse('too-many-requests', `${STREAMS_MAX} log streams are open on this node; close one and try again`)
      }
      const stream = new LogStream(request, sink, sources, () => streams.delete(request.stream))
      streams.set(request.stream, stream)
      stream.start()
    },

    add(request: LogAdd): void {
      streams.get(request.stream)?.add(request)
    },

    close(id: string): void {
      streams.get(id)?.close()
    },

    closeAll(): void {
      for (const stream of [...streams.values()]) stream.close()
    },
  }
}
