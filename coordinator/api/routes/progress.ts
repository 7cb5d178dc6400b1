/** The progress of a stack, live: an event whenever it differs, and `done` once nothing is left to wait for. */
import type { FastifyInstance } from 'fastify'
import { type ProgressDocument, StackParams } from '../../../shared/api.ts'
import { wellFormedBrief } from '../../../shared/text.ts'
import type { Core, LogReader } from '../../core.ts'
import type { RouteParts } from '../api.ts'
import { stackProgress } from '../progress.ts'
import { serverSentEvents } from '../stream.ts'
import { stackNamed } from './stacks.ts'

/** Between two events to one client: beats may come faster than anybody reads. */
const intervalMs = 50
const lastLinesMax = 5
const lastLinesTasksMax = 3
const lastLinesWaitMs = 1500
const lastLineCharsMax = 2048

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

    const look = () => {
      timer = undefined
      if (isOver || stream.signal.aborted) return
      const progress = stackProgress(core.world, params.stack) ?? gone
      if (progress.outcome !== 'going') return void finish(progress)
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
      const lastLines = progress.outcome === 'up' ? [] : await readLastLines(core, logs, progress)
      sse.send('done', lastLines.length > 0 ? { ...progress, lastLines } : progress)
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

/** Of the first few tasks that failed and still stand on a node; what cannot be had quickly is left out. */
async function readLastLines(core: Core, logs: LogReader, progress: ProgressDocument) {
  const tasks = progress.services
    .flatMap((service) => service.failures)
    .map((failure) => ({ task: failure.task, node: core.world.tasks.get(failure.task)?.node ?? null }))
    .filter((task): task is { task: string; node: string } => task.node !== null)
    .slice(0, lastLinesTasksMax)
  if (tasks.length === 0) return []
  const lines = new Map<string, string[]>(tasks.map(({ task }) => [task, []]))
  try {
    const signal = AbortSignal.timeout(lastLinesWaitMs)
    for await (const batch of logs.read({ tasks, tailLines: lastLinesMax, follow: false, signal })) {
      for (const line of batch.lines) lines.get(line.task)?.push(wellFormedBrief(line.text, lastLineCharsMax))
    }
  } catch {
    // The lines are a courtesy: the outcome is told without them.
  }
  return [...lines]
    .filter(([, texts]) => texts.length > 0)
    .map(([task, texts]) => ({ task, lines: texts.slice(-lastLinesMax) }))
}
