import { expect, test } from 'vitest'
import { untilAtRest } from '../../coordinator/at-rest.ts'

/** A clock that moves only when somebody sleeps, and a process that is as busy as is said, second by second. */
function aProcess(busy: number[]) {
  const slept: number[] = []
  const clock = {
    monotonicMs: () => slept.reduce((sum, ms) => sum + ms, 0),
    async sleep(ms: number, signal?: AbortSignal) {
      signal?.throwIfAborted()
      slept.push(ms)
    },
  }
  const utilization = () => ({ idle: 0, active: 0, utilization: busy[slept.length - 1] ?? 0 })
  return { clock, utilization, slept }
}

test('rest is the first second in which there was little to do', async () => {
  const { clock, utilization, slept } = aProcess([0.9, 0.7, 0.2, 0.9])
  await untilAtRest(60_000, clock, new AbortController().signal, utilization)
  expect(slept).toHaveLength(3)
})

test('a process that is never at rest is waited for so long and no longer', async () => {
  const { clock, utilization, slept } = aProcess(Array.from({ length: 100 }, () => 1))
  await untilAtRest(5_000, clock, new AbortController().signal, utilization)
  expect(slept).toHaveLength(5)
})

test('who stops waits no longer', async () => {
  const { clock, utilization } = aProcess([1, 1])
  await expect(untilAtRest(5_000, clock, AbortSignal.abort(new Error('stop')), utilization)).rejects.toThrow('stop')
})
