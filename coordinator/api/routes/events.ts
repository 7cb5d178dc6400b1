/** What happened: as a list, and live. */
import type { FastifyInstance } from 'fastify'
import { EventDocument, type EventsMissed, EventsQuery, PAGE_LIMIT_DEFAULT } from '../../../shared/api.ts'
import Type from '../../../shared/schema.ts'
import type { EventHistory } from '../../core.ts'
import { isAskedFor } from '../../event-filter.ts'
import type { EventRecord } from '../../world.ts'
import type { RouteParts } from '../api.ts'
import { type Stream, serverSentEvents } from '../stream.ts'
import { isoTime } from '../words.ts'

/** Read from the history at once, for a client that begins in the past or does not keep up. */
const pageLimit = 200

export function eventRoutes(api: FastifyInstance, { core, streams }: RouteParts): void {
  const list = {
    summary: 'Events after a number, oldest first; without it the newest',
    querystring: EventsQuery,
    response: { 200: Type.Object({ items: Type.Array(EventDocument) }) },
  }
  api.get<{ Querystring: EventsQuery }>('/v1/events', { schema: list }, ({ query }) => ({
    items: core.events.list({ ...query, limit: query.limit ?? PAGE_LIMIT_DEFAULT }).map(viewEvent),
  }))

  const live = {
    summary:
      'Events as server-sent events `event`, from `after` (or Last-Event-ID) on; `missed` for those that are not kept any more',
    querystring: EventsQuery,
  }
  api.get<{ Querystring: EventsQuery }>('/v1/events/live', { schema: live }, ({ query, headers }, reply) => {
    const stream = streams.open(reply, 'text/event-stream')
    const last = Number(headers['last-event-id'] ?? Number.NaN)
    const after = Number.isInteger(last) && last >= 0 ? last : query.after
    // The history can fail only where the store does, and then the coordinator ends.
    tellEvents(core.events, stream, query, after).catch(() => stream.end())
  })
}

/**
 * Tells each event once, in order. A client that does not keep up has nothing queued for it: it is told from the history, at its own
 * pace, until it has caught up. Of what the history has dropped meanwhile it is told the numbers.
 */
async function tellEvents(
  history: EventHistory,
  stream: Stream,
  query: EventsQuery,
  after: number | undefined,
): Promise<void> {
  const sse = serverSentEvents(stream)
  const { limit, after: _after, ...filter } = query
  const tell = (event: EventRecord) => {
    told = event.number
    return sse.send('event', viewEvent(event), event.number)
  }
  const newest = after === undefined ? history.list({ ...filter, after: undefined, limit: limit ?? pageLimit }) : []
  let told = after ?? newest[0]?.number ?? (history.oldest() ?? 1) - 1
  for (const event of newest) if (!tell(event)) await stream.drained()

  while (!stream.signal.aborted) {
    const missed = missedAfter(history, told)
    if (missed !== null) {
      told = missed.to
      if (!sse.send('missed', missed, missed.to)) await stream.drained()
    }
    const page = history.list({ ...filter, after: told, limit: pageLimit })
    for (const event of page) if (!tell(event)) await stream.drained()
    // Nothing can happen between the empty page and the listening.
    if (page.length === 0) await listen(history, stream, (event) => !isAskedFor(event, query) || tell(event))
  }
}

/** Events behind `told` that the history has dropped: nobody can say which of them were asked for. */
function missedAfter(history: EventHistory, told: number): EventsMissed | null {
  const oldest = history.oldest()
  return oldest === null || oldest <= told + 1 ? null : { from: told + 1, to: oldest - 1 }
}

/** Until `tell` says that the client does not keep up and the client has taken all, or the stream has ended. */
async function listen(history: EventHistory, stream: Stream, tell: (event: EventRecord) => boolean): Promise<void> {
  await new Promise<void>((resolve) => {
    const stop = history.onEvent((event) => {
      if (!tell(event)) over()
    })
    const over = () => {
      stop()
      stream.signal.removeEventListener('abort', over)
      resolve()
    }
    stream.signal.addEventListener('abort', over)
  })
  await stream.drained()
}

function viewEvent(event: EventRecord): EventDocument {
  return { ...event, at: isoTime(event.at) }
}
