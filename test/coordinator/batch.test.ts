import { expect, test } from 'vitest'
import { addWrite, newBatch } from '../../coordinator/batch.ts'

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

test('folding the writes of a batch looks at each write a few times, however many keys there are', () => {
  const looks = { count: 0 }
  const batch = newBatch()
  const writes = 200_000
  for (let name = 0; name < writes; name++) addWrite(batch, counted(looks, name))
  expect(batch.writes).toHaveLength(writes)
  expect(looks.count).toBeLessThanOrEqual(2 * writes)
})

test('writes to the same keys are folded: a batch stays as small as its keys, with the last of each', () => {
  const batch = newBatch()
  for (let value = 0; value < 200_000; value++) addWrite(batch, { key: ['world', 'task', value % 10], value })
  expect(batch.writes.length).toBeLessThanOrEqual(50_000)
  expect(batch.writes.at(-1)).toEqual({ key: ['world', 'task', 9], value: 199_999 })
})
