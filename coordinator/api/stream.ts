/** Answers that go on: server-sent events and newline-delimited JSON, each bounded, all of them counted. */
import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import type { FastifyReply } from 'fastify'
import { BerthError } from '../../shared/errors.ts'

export const STREAM_LIMITS = {
  /** Open at once; more are refused. */
  max: 256,
  /** Now and then a sign of life shows both ends that the other is there. */
  keepAliveMs: 15_000,
  /** A client that has taken nothing of what waits for it for so long is let go. It comes back and goes on where it was. */
  stalledMs: 120_000,
}
export type StreamLimits = typeof STREAM_LIMITS

export type Stream = {
  /** Aborted when the client goes, or the server stops. */
  readonly signal: AbortSignal
  /** False: the client does not keep up; `drained` resolves when it has. Keep each text short: it is the measure of progress. */
  write(text: string): boolean
  /** Resolves when the client has taken all, or has gone. */
  drained(): Promise<void>
  /** Writes what `text` gives whenever nothing has been written for a while. */
  keepAlive(text: () => string): void
  end(): void
}

/** Opens streams up to a number, so that forgotten clients cannot pile up. */
export function streamLimit(given: Partial<StreamLimits> = {}) {
  const limits = { ...STREAM_LIMITS, ...given }
  const open = new Set<AbortController>()
  return {
    /** Takes the answer over from fastify. @throws BerthError `too-many-requests` */
    open(reply: FastifyReply, contentType: string): Stream {
      const { max } = limits
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
      return streamOver(response, stop.signal, limits)
    },
    endAll(): void {
      for (const stop of open) stop.abort()
    },
    get size() {
      return open.size
    },
  }
}

function streamOver(response: ServerResponse, signal: AbortSignal, { keepAliveMs, stalledMs }: StreamLimits): Stream {
  let wroteAt = performance.now()
  let stalled: NodeJS.Timeout | undefined
  const watch = () => {
    // What a client that takes nothing is still to get dies with it: only a cut ends its hold on the place here.
    stalled ??= setTimeout(() => response.destroy(), stalledMs)
  }
  response.on('drain', () => {
    clearTimeout(stalled)
    stalled = undefined
  })
  response.once('close', () => clearTimeout(stalled))

  function write(text: string): boolean {
    if (response.writableEnded) return false
    wroteAt = performance.now()
    const isTaken = response.write(text)
    if (!isTaken) watch()
    return isTaken
  }
  function end(): void {
    if (response.writableEnded) return
    response.end()
    if (!response.writableFinished) watch()
  }
  signal.addEventListener('abort', end, { once: true })

  return {
    signal,
    write,
    end,
    async drained() {
      if (response.writableNeedDrain && !signal.aborted)
        await once(response, 'drain', { signal }).catch(() => undefined)
    },
    keepAlive(text) {
      const timer = setInterval(() => {
        if (!response.writableNeedDrain && performance.now() - wroteAt >= 0.9 * keepAliveMs) write(text())
      }, keepAliveMs)
      response.once('close', () => clearInterval(timer))
    },
  }
}

/** Server-sent events over a stream, kept alive until it ends. */
export function serverSentEvents(stream: Stream) {
  stream.keepAlive(() => ': still here\n\n')
  return {
    /** False: the client does not keep up. */
    send: (event: string, data: unknown, id?: number): boolean =>
      stream.write(`${id === undefined ? '' : `id: ${id}\n`}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`),
    end: () => stream.end(),
  }
}
