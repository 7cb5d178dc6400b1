/** What happened: as a list, and live. */
import type { FastifyInstance } from 'fastify'
import Type from 'typebox'
import { EventDocument, EventsQuery, PAGE_LIMIT_DEFAULT } from '../../../shared/api.ts'
import type { EventRecord } from '../../world.ts'
import type { RouteParts } from '../api.ts'
import { serverSentEvents } from '../stream.ts'
import { isoTime } from '../words.ts'

/** A client that falls this many events behind is let go; it comes back with `after` and misses nothing. */
const behindMax = 1000

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
    summary: 'Events as server-sent events `event`, from `after` (or Last-Event-ID) on',
    querystring: EventsQuery,
  }
  api.get<{ Querystring: EventsQuery }>('/v1/events/live', { schema: live }, ({ query, headers }, reply) => {
    const stream = streams.open(reply, 'text/event-stream')
    const sse = serverSentEvents(stream)
    const last = Number(headers['last-event-id'] ?? Number.NaN)
    const after = Number.isInteger(last) ? last : query.after
    const limit = query.limit ?? PAGE_LIMIT_DEFAULT

    let behind = 0
    const tell = (event: EventRecord) => {
      if (sse.send('event', viewEvent(event), event.number)) return
      behind += 1
      if (behind === 1) void stream.drained().then(() => (behind = 0))
      if (behind > behindMax) sse.end()
    }
    for (const event of core.events.list({ ...query, ...(after === undefined ? {} : { after }), limit })) tell(event)
    const stop = core.events.onEvent((event) => {
      if (isAskedFor(event, query)) tell(event)
    })
    stream.signal.addEventListener('abort', stop, { once: true })
  })
}

function viewEvent(event: EventRecord): EventDocument {
  return { ...event, at: isoTime(event.at) }
}

function isAskedFor(event: EventRecord, query: EventsQuery): boolean {
  if (query.node !== undefined && event.node !== query.node) return false
  if (query.service !== undefined && event.service !== query.service) return false
  return query.stack === undefined || (event.service?.startsWith(`${query.stack}_`) ?? false)
}
