/**
 * The history of events: the newest ten thousand or so, stored under `event NUMBER` in the same transaction as the values
 * that they tell of. Nobody hears of an event before it is durable.
 */
import type { EventHistory } from './core.ts'
import type { Key, Store, Write } from './store/store.ts'
import type { EventRecord } from './world.ts'

export const EVENT_PREFIX: Key = ['event']
/** Kept at least; the oldest are dropped a batch at a time, so that most transactions drop none. */
export const EVENTS_KEPT = 10_000
export const EVENTS_DROPPED_AT_ONCE = 500

export type NewEvent = Omit<EventRecord, 'number'>

export type EventLog = EventHistory & {
  /** Numbers the events. Store the writes, then call `publish`, or `forgetUnpublished` when they could not be stored. */
  add(events: readonly NewEvent[]): { records: EventRecord[]; writes: Write[] }
  publish(records: readonly EventRecord[]): void
  forgetUnpublished(): void
}

export function openEventLog(store: Pick<Store, 'range'>, keep = EVENTS_KEPT): EventLog {
  const kept = [...store.range(EVENT_PREFIX)].map(({ value }) => value as EventRecord)
  const listeners = new Set<(event: EventRecord) => void>()
  let next = (kept.at(-1)?.number ?? 0) + 1
  let oldestStored = kept[0]?.number ?? next

  function dropOldest(): Write[] {
    if (next - oldestStored < keep + EVENTS_DROPPED_AT_ONCE) return []
    const first = oldestStored
    oldestStored = next - keep
    return Array.from({ length: oldestStored - first }, (_, index) => ({
      key: [...EVENT_PREFIX, first + index],
      delete: true,
    }))
  }

  return {
    add(events) {
      const records = events.map((event) => ({ ...event, number: next++ }))
      const writes: Write[] = records.map((record) => ({ key: [...EVENT_PREFIX, record.number], value: record }))
      return { records, writes: [...writes, ...dropOldest()] }
    },
    publish(records) {
      for (const record of records) {
        kept.push(record)
        for (const listener of [...listeners]) listener(record)
      }
      if (kept.length >= keep + EVENTS_DROPPED_AT_ONCE) kept.splice(0, kept.length - keep)
    },
    forgetUnpublished() {
      next = (kept.at(-1)?.number ?? next - 1) + 1
      oldestStored = kept[0]?.number ?? next
    },
    list({ after, limit, ...names }) {
      const wanted = kept.filter((event) => event.number > (after ?? 0) && concerns(event, names))
      return after === undefined ? wanted.slice(Math.max(0, wanted.length - limit)) : wanted.slice(0, limit)
    },
    onEvent(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}

function concerns(event: EventRecord, { stack, service, node }: { stack?: string; service?: string; node?: string }) {
  if (node !== undefined && event.node !== node) return false
  if (service !== undefined && event.service !== service) return false
  // A stack's name holds no underscore, so STACK_SERVICE splits one way only.
  if (stack !== undefined && event.service?.split('_', 1)[0] !== stack) return false
  return true
}
