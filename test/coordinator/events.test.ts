import { expect, test } from 'vitest'
import { EVENTS_DROPPED_AT_ONCE, type NewEvent, openEventLog } from '../../coordinator/events.ts'
import { createMemoryStore } from '../../coordinator/store/memory.ts'

const anEvent = (given: Partial<NewEvent> = {}): NewEvent => ({
  at: 1,
  kind: 'test',
  level: 'info',
  message: 'm',
  ...given,
})

async function addAndStore(
  log: ReturnType<typeof openEventLog>,
  store: ReturnType<typeof createMemoryStore>,
  events: NewEvent[],
) {
  const { records, writes } = log.add(events)
  await store.transact(writes)
  log.publish(records)
}

test('events are numbered from 1 without gaps, and go on from there after a restart', async () => {
  const store = createMemoryStore()
  const log = openEventLog(store)
  await addAndStore(log, store, [anEvent(), anEvent()])
  const again = openEventLog(store.copy())
  expect(again.list({ limit: 10 })).toEqual(log.list({ limit: 10 }))
  expect(again.add([anEvent()]).records[0]!.number).toBe(3)
})

test('without a place to begin the newest are listed, after a number the ones that follow it', async () => {
  const store = createMemoryStore()
  const log = openEventLog(store)
  await addAndStore(
    log,
    store,
    Array.from({ length: 10 }, () => anEvent()),
  )
  const numbers = (query: { after?: number; limit: number }) => log.list(query).map((event) => event.number)
  expect(numbers({ limit: 3 })).toEqual([8, 9, 10])
  expect(numbers({ after: 4, limit: 3 })).toEqual([5, 6, 7])
  expect(numbers({ after: 10, limit: 3 })).toEqual([])
  expect(numbers({ limit: 0 })).toEqual([])
})

test('events are filtered by stack, service and node', async () => {
  const store = createMemoryStore()
  const log = openEventLog(store)
  await addAndStore(log, store, [
    anEvent({ service: 'shop_web', node: 'a' }),
    anEvent({ service: 'shopping_web', node: 'b' }),
    anEvent({ service: 'shop_db' }),
  ])
  const numbers = (names: object) => log.list({ limit: 10, ...names }).map((event) => event.number)
  expect(numbers({ stack: 'shop' })).toEqual([1, 3])
  expect(numbers({ service: 'shop_web' })).toEqual([1])
  expect(numbers({ node: 'b' })).toEqual([2])
  expect(numbers({ stack: 'shop', node: 'b' })).toEqual([])
})

test('the newest are kept and the oldest dropped, in memory and in the store', async () => {
  const store = createMemoryStore()
  const log = openEventLog(store, 100)
  for (let batch = 0; batch < 30; batch++) {
    await addAndStore(
      log,
      store,
      Array.from({ length: 77 }, () => anEvent()),
    )
    expect(log.list({ limit: 1e9 }).length).toBeLessThan(100 + EVENTS_DROPPED_AT_ONCE)
    expect([...store.range(['event'])].length).toBeLessThan(100 + EVENTS_DROPPED_AT_ONCE + 77)
  }
  const stored = [...store.range(['event'])].map(({ key }) => key[1])
  expect(stored.at(-1)).toBe(30 * 77)
  expect(stored.length).toBeGreaterThanOrEqual(100)
})

test('what could not be stored is forgotten, and its numbers are given again', async () => {
  const store = createMemoryStore()
  const log = openEventLog(store)
  await addAndStore(log, store, [anEvent()])
  log.add([anEvent(), anEvent()])
  log.forgetUnpublished()
  await addAndStore(log, store, [anEvent({ message: 'the second' })])
  expect(log.list({ limit: 10 }).map(({ number, message }) => [number, message])).toEqual([
    [1, 'm'],
    [2, 'the second'],
  ])
})

test('listeners hear of an event when it is published, until they stop', async () => {
  const store = createMemoryStore()
  const log = openEventLog(store)
  const heard: number[] = []
  const stop = log.onEvent((event) => heard.push(event.number))
  const { records } = log.add([anEvent()])
  expect(heard).toEqual([])
  log.publish(records)
  stop()
  await addAndStore(log, store, [anEvent()])
  expect(heard).toEqual([1])
})

test('the oldest number is that of the first event that can still be listed', async () => {
  const store = createMemoryStore()
  const log = openEventLog(store, 100)
  expect(log.oldest()).toBeNull()
  for (let batch = 0; batch < 10; batch++) {
    await addAndStore(
      log,
      store,
      Array.from({ length: 100 }, () => anEvent()),
    )
    expect(log.oldest()).toBe(log.list({ after: 0, limit: 1 })[0]!.number)
  }
  expect(log.oldest()).toBeGreaterThan(1)
  expect(openEventLog(store.copy(), 100).oldest()).toBe(log.oldest())
})
