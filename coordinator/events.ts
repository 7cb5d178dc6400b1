/**
 * The history of events: the newest ten thousand or so, stored under `event NUMBER` in the same transaction as the values
 * that they tell of. Nobody hears of an event before it is durable.
 */
import type { EventHistory } from './core.ts'
import { isAskedFor } from './event-filter.ts'
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

/** Listing reads the store, so that a start need not read ten thousand events that nobody may ask for. */
export function openEventLog(store: Pick<Store, 'range'>, keep = EVENTS_KEPT): EventLog {
  const listeners = new Set<(event: EventRecord) => void>()
  let published = numberAt(store, { reverse: true }) ?? 0
  let next = published + 1
  let oldestStored = numberAt(store, {}) ?? next

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
        published = record.number
        for (const listener of [...listeners]) listener(record)
      }
    },
    forgetUnpublished() {
      next = published + 1
      oldestStored = numberAt(store, {}) ?? next
    },
    list({ after, limit, ...filter }) {
      const isFromEnd = after === undefined
      const found: EventRecord[] = []
      const range = store.range(EVENT_PREFIX, isFromEnd ? { reverse: true } : { after: [...EVENT_PREFIX, after] })
      for (const { value } of range) {
        if (found.length >= limit) break
        const event = value as EventRecord
        // What is being flushed may be in the store a moment before it is told.
        if (event.number <= published && isAskedFor(event, filter)) found.push(event)
      }
      return isFromEnd ? found.reverse() : found
    },
    oldest: () => (oldestStored < next ? oldestStored : null),
    onEvent(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}

/** The number of the oldest event in the store, or of the newest; null without events. */
function numberAt(store: Pick<Store, 'range'>, order: { reverse?: boolean }): number | null {
  for (const { value } of store.range(EVENT_PREFIX, { ...order, limit: 1 })) return (value as EventRecord).number
  return null
}
