import { expect, test } from 'vitest'
import { isAskedFor } from '../../coordinator/event-filter.ts'
import type { EventRecord } from '../../coordinator/world.ts'

const failed: EventRecord = {
  number: 7,
  at: 1_000,
  kind: 'task-failed',
  level: 'warning',
  message: 'm',
  node: 'n1',
  service: 'shop_api',
}

test('an event is shown to whoever names all that it is, or nothing', () => {
  expect(isAskedFor(failed, {})).toBe(true)
  expect(
    isAskedFor(failed, { stack: 'shop', service: 'shop_api', node: 'n1', type: 'task-failed', since: 1_000 }),
  ).toBe(true)
})

test.each([
  [{ stack: 'sho' }],
  [{ service: 'shop_web' }],
  [{ node: 'n2' }],
  [{ since: 1_001 }],
  [{ type: 'task-fail' }],
  [{ type: 'node-*,task-running' }],
])('%j is not of it', (filter) => expect(isAskedFor(failed, filter)).toBe(false))

test('types stand with commas between, and a star at the end stands for anything', () => {
  for (const type of ['task-*', 'node-lost, task-failed', '*']) expect(isAskedFor(failed, { type })).toBe(true)
})
