/** `berth events`: what happened, and with -f what happens. */
import { type EventDocument, type EventsMissed, PAGE_LIMIT_MAX } from '../../shared/api.ts'
import { BerthError } from '../../shared/errors.ts'
import type { Client, Query } from '../client.ts'
import { type Context, withClient } from '../context.ts'
import type { Output } from '../output.ts'
import { oneLine } from '../terminal-text.ts'

export type EventsOptions = {
  follow?: boolean
  limit?: number
  stack?: string
  service?: string
  node?: string
  type?: string
  /** Milliseconds before now. */
  since?: number
}

const reconnectMs = 1000
/** Of the longest but a few. */
const KIND_WIDTH = 18

export async function events(context: Context, options: EventsOptions): Promise<void> {
  const { out, json } = context
  const { follow, since, ...filter } = options
  const query: Query = filter
  if (since !== undefined) {
    query.since = Date.now() - since
    query.limit ??= PAGE_LIMIT_MAX
  }
  const print = (event: EventDocument) => (json ? out.record(event) : out.line(eventLine(event, out.paint)))
  await withClient(context, async (client) => {
    if (follow) return followEvents(client, query, print, (words) => out.note(words))
    const { items } = await client.get<{ items: EventDocument[] }>('/v1/events', query)
    if (json) return out.document(items)
    items.forEach(print)
    // A name or type that is misspelt would look like peace.
    if (items.length === 0) out.note(nothingText(options))
    if (since !== undefined && items.length === query.limit)
      out.note(`these are the newest ${items.length}; there may be more: narrow it with --type or --since`)
  })
}

function nothingText({ stack, service, node, type, since }: EventsOptions): string {
  const asked = [
    type === undefined ? '' : `of type ${type}`,
    stack === undefined ? '' : `of stack ${stack}`,
    service === undefined ? '' : `of service ${service}`,
    node === undefined ? '' : `of node ${node}`,
    since === undefined ? '' : 'so young',
  ].filter((words) => words !== '')
  if (asked.length === 0) return 'nothing has happened yet'
  return `of the events that are kept none is ${asked.join(' and ')}; without options the newest are shown, each with its type`
}

/** Goes on where it was after the coordinator was away. */
async function followEvents(
  client: Client,
  query: Query,
  print: (event: EventDocument) => void,
  note: (words: string) => void,
): Promise<never> {
  let after: number | undefined
  let isAway = false
  for (;;) {
    try {
      for await (const { event, data } of client.events('/v1/events/live', { ...query, after })) {
        if (event === 'missed') {
          const { from, to } = data as EventsMissed
          note(`events ${from} to ${to} are missing: they were dropped before they could be read`)
          after = to
        }
        if (event !== 'event') continue
        isAway = false
        after = (data as EventDocument).number
        print(data as EventDocument)
      }
    } catch (error) {
      const canComeBack = error instanceof BerthError && (error.code === 'unreachable' || error.code === 'timed-out')
      if (!canComeBack || after === undefined) throw error
      if (!isAway) note(error.message)
      isAway = true
    }
    await new Promise((resolve) => setTimeout(resolve, reconnectMs))
  }
}

export function eventLine(event: EventDocument, paint: Output['paint']): string {
  const time = event.at.replace('T', ' ').slice(0, 19)
  const message = oneLine(event.message)
  const said = event.level === 'warning' ? paint('yellow', `! ${message}`) : `  ${message}`
  return `${paint('dim', `${time}  ${event.kind.padEnd(KIND_WIDTH)}`)}  ${said}`
}
