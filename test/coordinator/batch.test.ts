import { expect, test } from 'vitest'
import { mergeBatches, newBatch } from '../../coordinator/batch.ts'

/** A write whose key counts how often it is looked at. */
function counted(looks: { count: number }, name: number) {
  return {
    value: name,
    get key() {
      looks.count++
      return ['world', 'task', name]
    },
  }
}

test('each write of a batch is looked at once, however many keys there are', () => {
  const looks = { count: 0 }
  const batch = newBatch()
  for (let name = 0; name < 200_000; name++) batch.writes.add(counted(looks, name))
  expect(batch.writes.size).toBe(200_000)
  expect(looks.count).toBe(200_000)
})

test('of several writes to one key only the last is kept: a batch stays as small as its keys', () => {
  const batch = newBatch()
  for (let value = 0; value < 1_000; value++) batch.writes.add({ key: ['world', 'task', value % 10], value })
  batch.writes.add({ key: ['world', 'task', 3], delete: true })
  expect(batch.writes.size).toBe(10)
  expect([...batch.writes]).toContainEqual({ key: ['world', 'task', 9], value: 999 })
  expect([...batch.writes]).toContainEqual({ key: ['world', 'task', 3], delete: true })
})

test('of two batches the newer one has the last word', () => {
  const [older, newer] = [newBatch(), newBatch()]
  for (const key of ['a', 'b']) older.writes.add({ key: [key], value: 'older' })
  newer.writes.add({ key: ['b'], delete: true })
  expect([...mergeBatches(older, newer).writes]).toEqual([
    { key: ['a'], value: 'older' },
    { key: ['b'], delete: true },
  ])
})
