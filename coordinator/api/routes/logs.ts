/** Log lines of a stack, a service or a task, as newline-delimited JSON: the cheapest form for very many lines. */
import type { FastifyInstance, FastifyReply } from 'fastify'
import { type LogRecord, LogsBody, LogsQuery } from '../../../shared/api.ts'
import { BerthError } from '../../../shared/errors.ts'
import { type FieldTest, parseFieldTest } from '../../../shared/log-field.ts'
import type { LogBatch } from '../../core.ts'
import { fieldsOf } from '../../logs/log-fields.ts'
import { levelOf } from '../../logs/log-level.ts'
import { checkPattern } from '../../logs/pattern.ts'
import type { World } from '../../world.ts'
import type { RouteParts } from '../api.ts'
import { firstTargets, type NamedTarget, watchTargets } from '../log-targets.ts'
import type { Stream } from '../stream.ts'

/** A text of about this length is written at once: a slow client shows by it that it still reads. */
const writeCharsMax = 64 * 1024

export function logRoutes(api: FastifyInstance, parts: RouteParts): void {
  const get = {
    summary: 'Log lines, newline-delimited JSON; as server-sent events where they are accepted',
    querystring: LogsQuery,
  }
  api.get<{ Querystring: LogsQuery }>('/v1/logs', { schema: get }, ({ query, headers }, reply) =>
    answer(parts, query, reply, headers.accept === 'text/event-stream'),
  )

  const post = { summary: 'The same, going on where the reader was before', body: LogsBody }
  api.post<{ Body: LogsBody }>('/v1/logs', { schema: post }, ({ body, headers }, reply) =>
    answer(parts, body, reply, headers.accept === 'text/event-stream'),
  )
}

async function answer(parts: RouteParts, asked: LogsBody, reply: FastifyReply, isEvents: boolean): Promise<void> {
  const { core, logs, streams, clock, log } = parts
  const { tail, since, until, grep, level, context, from, parse = false, follow = false } = asked
  const targets = firstTargets(core.world, asked, logs)
  if (grep !== undefined) checkPattern(grep)
  const fields = asked.field?.map(readField)
  if (since !== undefined && until !== undefined && since > until) {
    throw new BerthError('invalid-request', '--since is later than --until: no line can be between them')
  }
  if (follow && until !== undefined) {
    throw new BerthError(
      'invalid-request',
      '--follow goes on with lines that come, and --until wants none: give one of them',
    )
  }
  const stream = streams.open(reply, isEvents ? 'text/event-stream' : 'application/x-ndjson')
  const print = isEvents ? printEvent : printLine
  const tell = (record: LogRecord) => stream.write(print(record))
  const tellNames = (named: NamedTarget[]) =>
    tell({ tasks: Object.fromEntries(named.map(({ task, name }) => [task, name])), now: clock.now() })
  tellNames(targets)
  for (const service of mute(core.world, targets))
    tell({ warning: `${service}: its log driver is none, which keeps nothing` })
  stream.keepAlive(() => print({ alive: clock.now() }))
  try {
    const batches = logs.read({
      tasks: targets,
      ...(tail === undefined || from !== undefined ? {} : { tailLines: tail }),
      ...(since === undefined ? {} : { since }),
      ...(until === undefined ? {} : { until }),
      ...(grep === undefined ? {} : { grep }),
      ...(level === undefined ? {} : { level }),
      ...(fields === undefined ? {} : { fields }),
      ...(context === undefined ? {} : { context }),
      follow,
      signal: stream.signal,
      ...(follow ? { watch: watchTargets(core, asked, targets, tellNames) } : {}),
    })
    for await (const batch of batches) await writeBatch(stream, parse ? parsed(batch) : batch, print)
    tell({ ended: follow ? 'gone' : 'complete' })
  } catch (error) {
    const known = error instanceof BerthError ? error : null
    if (known === null) log?.error({ err: error }, 'a log stream broke off')
    const words = known?.message ?? "the log stream broke off; the coordinator's log says why"
    tell({ error: words, code: known?.code ?? 'internal' })
  }
  stream.end()
}

/** @throws BerthError `invalid-request` */
function readField(text: string): FieldTest {
  const read = parseFieldTest(text)
  if (read.ok) return read.test
  throw new BerthError('invalid-request', `--field ${read.why}`)
}

function parsed(batch: LogBatch): LogBatch {
  const lines = batch.lines.map((line) => {
    const level = levelOf(line.text)
    const fields = fieldsOf(line.text)
    return { ...line, ...(level !== null && { level }), ...(fields !== null && { fields }) }
  })
  return { ...batch, lines }
}

/** Services whose containers' lines nobody can have. */
function mute(world: World, targets: NamedTarget[]): Set<string> {
  const found = new Set<string>()
  for (const { task } of targets) {
    const { service = '', version = 0 } = world.tasks.get(task) ?? {}
    const spec = world.services.get(service)?.versions.get(version)?.spec
    if (spec?.task.container.logging?.driver === 'none') found.add(service)
  }
  return found
}

const printLine = (record: LogRecord) => `${JSON.stringify(record)}\n`

/** For browsers: a line is a `message`, whatever else is an event named by its first member. */
function printEvent(record: LogRecord): string {
  const name = 'text' in record ? '' : `event: ${Object.keys(record)[0]}\n`
  return `${name}data: ${JSON.stringify(record)}\n\n`
}

async function writeBatch(stream: Stream, batch: LogBatch, print: (record: LogRecord) => string): Promise<void> {
  let text = ''
  for (const record of recordsOf(batch)) {
    text += print(record)
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
