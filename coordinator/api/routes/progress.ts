/** The progress of a stack, live: an event whenever it differs, and `done` once nothing is left to wait for. */
import type { FastifyInstance } from 'fastify'
import { type ProgressDocument, StackParams } from '../../../shared/api.ts'
import type { RouteParts } from '../api.ts'
import { lastLinesOfFailures } from '../last-lines.ts'
import { stackProgress } from '../progress.ts'
import { serverSentEvents } from '../stream.ts'
import { stackNamed } from './stacks.ts'

/** Between two events to one client: beats may come faster than anybody reads. */
const intervalMs = 50

export function progressRoutes(api: FastifyInstance, { core, logs, streams, clock }: RouteParts): void {
  const schema = { summary: 'Server-sent events `progress` and, last, `done`', params: StackParams }
  api.get<{ Params: { stack: string } }>('/v1/progress/:stack', { schema }, ({ params }, reply) => {
    stackNamed(core.world, params.stack)
    const stream = streams.open(reply, 'text/event-stream')
    const sse = serverSentEvents(stream)
    const gone: ProgressDocument = { stack: params.stack, deployment: 0, outcome: 'gone', services: [] }
    let sent = ''
    let sentAt = 0
    let timer: NodeJS.Timeout | undefined
    let isBlocked = false
    let isOver = false
    const lastLines = lastLinesOfFailures(core, logs)

    const look = () => {
      timer = undefined
      if (isOver || stream.signal.aborted) return
      const progress = stackProgress(core.world, params.stack) ?? gone
      if (progress.outcome !== 'going') return void finish(progress)
      lastLines.note(progress)
      const text = JSON.stringify(progress)
      if (text === sent) return
      sent = text
      sentAt = clock.now()
      if (sse.send('progress', progress)) return
      // Only the latest picture counts: while the client is behind, nothing is queued for it.
      isBlocked = true
      void stream.drained().then(() => {
        isBlocked = false
        mark()
      })
    }
    const mark = () => {
      if (timer !== undefined || isBlocked || isOver) return
      const waitMs = sentAt + intervalMs - clock.now()
      if (waitMs <= 0) look()
      else timer = setTimeout(look, waitMs)
    }
    const finish = async (progress: ProgressDocument) => {
      isOver = true
      stop()
      const words = progress.outcome === 'up' ? [] : await lastLines.of(progress)
      sse.send('done', words.length > 0 ? { ...progress, lastLines: words } : progress)
      sse.end()
    }
    const stop = core.onBeat(mark)
    stream.signal.addEventListener('abort', () => {
      clearTimeout(timer)
      stop()
    })
    look()
  })
}
