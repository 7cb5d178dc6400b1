/** Answers that go on: server-sent events and newline-delimited JSON, each bounded, all of them counted. */
import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import type { FastifyReply } from 'fastify'
import { BerthError } from '../../shared/errors.ts'

export const STREAMS_MAX = 256
/** A comment line now and then shows both ends that the other is there. */
const keepAliveMs = 15_000

export type Stream = {
  /** Aborted when the client goes, or the server stops. */
  readonly signal: AbortSignal
  /** False: the client does not keep up; `drained` resolves when it has. */
  write(text: string): boolean
  drained(): Promise<void>
  end(): void
}

/** Opens streams up to a number, so that forgotten clients cannot pile up. */
export function streamLimit(max = STREAMS_MAX) {
  const open = new Set<AbortController>()
  return {
    /** Takes the answer over from fastify. @throws BerthError `too-many-requests` */
    open(reply: FastifyReply, contentType: string): Stream {
      if (open.size >= max) {
        throw new BerthError('too-many-requests', `${max} streams are open already; close one`, { details: { max } })
      }
      reply.hijack()
      const stop = new AbortController()
      open.add(stop)
      const response = reply.raw
      response.once('close', () => {
        open.delete(stop)
        stop.abort()
      })
      response.on('error', () => stop.abort())
      response.writeHead(200, { 'content-type': contentType, 'cache-control': 'no-store' })
      response.flushHeaders()
      return streamOver(response, stop.signal)
    },
    endAll(): void {
      for (const stop of open) stop.abort()
    },
    get size() {
      return open.size
    },
  }
}

function streamOver(response: ServerResponse, signal: AbortSignal): Stream {
  signal.addEventListener('abort', () => response.end(), { once: true })
  return {
    signal,
    write: (text) => !response.writableEnded && response.write(text),
    async drained() {
      if (response.writableNeedDrain && !signal.aborted)
        await once(response, 'drain', { signal }).catch(() => undefined)
    },
    end: () => response.end(),
  }
}

/** Server-sent events over a stream, kept alive until it ends. */
export function serverSentEvents(stream: Stream) {
  const timer = setInterval(() => stream.write(': still here\n\n'), keepAliveMs)
  stream.signal.addEventListener('abort', () => clearInterval(timer), { once: true })
  return {
    /** False: the client does not keep up. */
    send: (event: string, data: unknown, id?: number): boolean =>
      stream.write(`${id === undefined ? '' : `id: ${id}\n`}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`),
    end(): void {
      clearInterval(timer)
      stream.end()
    },
  }
}
