import { expect, test } from 'vitest'
import { ASSIGNMENTS_WAITING_MAX, AssignmentQueue } from '../../../agent/link/assignment-queue.ts'
import type { AssignOutcome } from '../../../agent/parts.ts'
import type { Assignment, AssignmentChange } from '../../../shared/wire/down.ts'
import { until } from '../../build/until.ts'

function complete(revision: number): Assignment {
  return { kind: 'assignment', revision, specs: {}, tasks: [] }
}

function change(revision: number): AssignmentChange {
  return { kind: 'assignment-change', base: revision - 1, revision, specs: {}, put: [], remove: [] }
}

/** A queue before a supervisor that takes its time: each `finish` ends the assignment that it is at. */
function aQueue() {
  const given: number[] = []
  const resyncs: string[] = []
  const failures: string[] = []
  let finish: ((outcome: AssignOutcome | Error) => void) | null = null
  const queue = new AssignmentQueue({
    supervisor: {
      assign: (message) => {
        given.push(message.revision)
        return new Promise((resolve, reject) => {
          finish = (outcome) => (outcome instanceof Error ? reject(outcome) : resolve(outcome))
        })
      },
    },
    resync: (reason) => resyncs.push(reason),
    stale: () => undefined,
    failed: (message) => failures.push(message),
  })
  async function finished(outcome: AssignOutcome | Error = { outcome: 'applied' }) {
    finish?.(outcome)
    for (let i = 0; i < 5; i++) await Promise.resolve()
  }
  return { queue, given, resyncs, failures, finished }
}

test('assignments are given in their order, each when the one before is on disk', async () => {
  const { queue, given, finished } = aQueue()
  for (const message of [complete(1), change(2), change(3)]) queue.put(message)
  expect(given).toEqual([1])
  await finished()
  expect(given).toEqual([1, 2])
  await finished()
  expect(given).toEqual([1, 2, 3])
})

test('a complete one makes those that wait before it needless', async () => {
  const { queue, given, finished } = aQueue()
  for (const message of [change(2), change(3), change(4), complete(9)]) queue.put(message)
  await finished()
  expect(given).toEqual([2, 9])
})

test('after one that does not fit, the changes built on it are dropped and the complete one is asked for once', async () => {
  const { queue, given, resyncs, finished } = aQueue()
  for (const message of [change(5), change(6), change(7)]) queue.put(message)
  await finished({ outcome: 'resync', reason: 'no base' })
  expect(given).toEqual([5])
  expect(resyncs).toEqual(['no base'])
  queue.put(complete(8))
  expect(given).toEqual([5, 8])
})

test('more than the bound waiting is dropped for the complete one', () => {
  const { queue, resyncs } = aQueue()
  for (let revision = 1; revision <= ASSIGNMENTS_WAITING_MAX + 2; revision++) queue.put(change(revision))
  expect(resyncs).toHaveLength(1)
})

test('one that cannot be kept is told, and none built on it is given', async () => {
  const { queue, given, failures, finished } = aQueue()
  for (const message of [complete(1), change(2)]) queue.put(message)
  await finished(new Error('no space left on device'))
  await until(() => failures.length > 0)
  expect(failures).toEqual(['no space left on device'])
  expect(given).toEqual([1])
})
