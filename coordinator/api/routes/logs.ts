/** Log lines of a stack, a service or a task, as newline-delimited JSON: the cheapest form for very many lines. */
import type { FastifyInstance, FastifyReply } from 'fastify'
import { type LogRecord, LogsBody, LogsQuery } from '../../../shared/api.ts'
import { BerthError } from '../../../shared/errors.ts'
import type { LogBatch } from '../../core.ts'
import type { RouteParts } from '../api.ts'
import { firstTargets, type NamedTarget, watchTargets } from '../log-targets.ts'
import type { Stream } from '../stream.ts'

/** A text of about this length is written at once: a slow client shows by it that it still reads. */
const writeCharsMax = 64 * 1024

export function logRoutes(api: FastifyInstance, parts: RouteParts): void {
  const get = { summary: 'Log lines, newline-delimited JSON', querystring: LogsQuery }
  api.get<{ Querystring: LogsQuery }>('/v1/logs', { schema: get }, ({ query }, reply) => answer(parts, query, reply))

  const post = { summary: 'The same, going on where the reader was before', body: LogsBody }
  api.post<{ Body: LogsBody }>('/v1/logs', { schema: post }, ({ body }, reply) => answer(parts, body, reply))
}

async function answer(
  { core, logs, streams, clock, log }: RouteParts,
  asked: LogsBody,
  reply: FastifyReply,
): Promise<void> {
  const { tail, since, from, follow = false } = asked
  const targets = firstTargets(core.world, asked)
  const stream = streams.open(reply, 'application/x-ndjson')
  const tell = (record: LogRecord) => stream.write(`${JSON.stringify(record)}\n`)
  const tellNames = (named: NamedTarget[]) =>
    tell({ tasks: Object.fromEntries(named.map(({ task, name }) => [task, name])), now: clock.now() })
  tellNames(targets)
  stream.keepAlive(() => `${JSON.stringify({ alive: clock.now() })}\n`)
  try {
    const batches = logs.read({
      tasks: targets,
      ...(tail === undefined || from !== undefined ? {} : { tailLines: tail }),
      ...(since === undefined ? {} : { since }),
      follow,
      signal: stream.signal,
      ...(follow ? { watch: watchTargets(core, asked, targets, tellNames) } : {}),
    })
    for await (const batch of batches) await writeBatch(stream, batch)
    tell({ ended: follow ? 'gone' : 'complete' })
  } catch (error) {
    const known = error instanceof BerthError ? error : null
    if (known === null) log?.error({ err: error }, 'a log stream broke off')
    const words = known?.message ?? "the log stream broke off; the coordinator's log says why"
    tell({ error: words, code: known?.code ?? 'internal' })
  }
  stream.end()
}

async function writeBatch(stream: Stream, batch: LogBatch): Promise<void> {
  let text = ''
  for (const record of recordsOf(batch)) {
    text += `${JSON.stringify(record)}\n`
    if (text.length < writeCharsMax) continue
    // Waiting here holds the reader back, and it the agents: nothing piles up for a slow client.
    if (!stream.write(text)) await stream.drained()
    text = ''
  }
  if (text !== '' && !stream.write(text)) await stream.drained()
}

function* recordsOf({ lines, dropped, missingNodes, failures = [] }: LogBatch): Iterable<LogRecord> {
  yield* lines
  if (dropped > 0) yield { dropped }
  if (missingNodes.length > 0) yield { missingNodes }
  for (const { node, task, message } of failures) yield { warning: `${node}${task ? `, ${task}` : ''}: ${message}` }
}
