import { expect, test } from 'vitest'
import { hasGivenUp, restartDelayMs } from '../../../agent/decide/back-off.ts'
import {
  afterFailedAttempt,
  afterLook,
  afterStart,
  beginAttempt,
  NOTHING_REMEMBERED,
  type TaskMemory,
} from '../../../agent/decide/memory.ts'
import { observe } from '../../../agent/decide/observe.ts'
import { aContainer, anEndedContainer, aPicture } from '../../build/container.ts'
import { aTaskSpec } from '../../build/spec.ts'

const policy = aTaskSpec({ restart: { delayMs: 0, windowMs: 5_000 } }).restart

test('the first restart is immediate, the next ones back off to a minute', () => {
  const delays = [1, 2, 3, 4, 8, 9, 1_000].map((failures) => restartDelayMs(failures, policy))
  expect(delays).toEqual([0, 1_000, 2_000, 4_000, 60_000, 60_000, 60_000])
})

test('the delay of the spec comes before every restart, also when it is longer than the back-off may be', () => {
  expect(restartDelayMs(1, { ...policy, delayMs: 500 })).toBe(500)
  expect(restartDelayMs(2, { ...policy, delayMs: 500 })).toBe(1_500)
  expect(restartDelayMs(2, { ...policy, delayMs: 90_000 })).toBe(90_000)
})

test('most attempts count restarts, and absent means for ever', () => {
  expect([0, 3, 4].map((failures) => hasGivenUp(failures, { ...policy, maxAttempts: 3 }))).toEqual([false, false, true])
  expect(hasGivenUp(1, { ...policy, maxAttempts: 0 })).toBe(true)
  expect(hasGivenUp(1_000_000, policy)).toBe(false)
})

test('an end is counted once, however often it is seen', () => {
  const ended = anEndedContainer(1, 2_000)
  const once = afterLook(NOTHING_REMEMBERED, ended, policy)
  expect(once).toMatchObject({ attempt: 1, failures: 1, restartAt: 2_000 })
  expect(afterLook(once, ended, policy)).toEqual(once)
})

test('a container that lived long begins its failures anew', () => {
  const memory = { ...NOTHING_REMEMBERED, attempt: 7, failures: 6, seenRun: 1_000 }
  expect(afterLook(memory, anEndedContainer(1, 3_000), policy)).toMatchObject({ failures: 7 })
  expect(afterLook(memory, anEndedContainer(1, 61_000), policy)).toMatchObject({ failures: 1, restartAt: 61_000 })
})

test('with a window of zero a container that exits at once still backs off', () => {
  const memory = { ...NOTHING_REMEMBERED, failures: 3 }
  const next = afterLook(memory, anEndedContainer(0, 1_100), { ...policy, windowMs: 0 })
  expect(next).toMatchObject({ failures: 4, restartAt: 1_100 + 4_000 })
})

test('pulling and launching are one attempt; the start after an end is the next', () => {
  const first = beginAttempt(NOTHING_REMEMBERED)
  expect(beginAttempt(first).attempt).toBe(1)
  const second = beginAttempt(afterLook(afterStart(first), anEndedContainer(1, 2_000), policy))
  expect(second.attempt).toBe(2)
})

test('a start by another hand is an attempt too', () => {
  const memory = afterLook(NOTHING_REMEMBERED, aContainer({ startedAt: 1_000 }), policy)
  expect(afterLook(memory, aContainer({ startedAt: 9_000 }), policy).attempt).toBe(2)
  expect(afterLook(memory, aContainer({ startedAt: 1_000 }), policy)).toEqual(memory)
})

test('the run of a start that its agent did not live to note is no attempt more', () => {
  const ran = afterLook(NOTHING_REMEMBERED, aContainer({ startedAt: 1_000 }), policy)
  const kept = beginAttempt(afterLook(ran, anEndedContainer(137, 5_000), policy))
  const seen = afterLook(kept, aContainer({ startedAt: 9_000 }), policy)
  expect(seen).toMatchObject({ attempt: 2, begun: false, seenRun: 9_000 })
  expect(afterLook(seen, aContainer({ startedAt: 12_000 }), policy).attempt).toBe(3)
})

test('an agent that knows nothing takes the attempt from the label of the container', () => {
  expect(afterLook(NOTHING_REMEMBERED, aContainer({ createdForAttempt: 4 }), policy).attempt).toBe(4)
  const cutOff = aContainer({ state: 'created', startedAt: null, createdForAttempt: 4 })
  expect(beginAttempt(afterLook(NOTHING_REMEMBERED, cutOff, policy)).attempt).toBe(4)
})

test('an attempt that failed before anything ran waits at least a second, then longer', () => {
  const error = { code: 'port-taken', message: 'x' }
  const once = afterFailedAttempt(beginAttempt(NOTHING_REMEMBERED), error, policy, 10_000)
  expect(once).toMatchObject({ attempt: 1, failures: 1, restartAt: 11_000, error })
  const twice = afterFailedAttempt(beginAttempt(once), error, policy, 20_000)
  expect(twice).toMatchObject({ attempt: 2, failures: 2, restartAt: 22_000 })
})

test('while an image is pulled again, it is told why the pull before came to nothing; once the task runs no more', () => {
  const error = { code: 'image-unavailable', message: 'image a cannot be fetched now: no route to host' }
  const failed = afterFailedAttempt(beginAttempt(NOTHING_REMEMBERED), error, policy, 5_000)
  const again = beginAttempt(failed)
  const seen = (memory: TaskMemory) => observe(aPicture({ memory }), 'pulling', null, 9_000)
  expect(seen(beginAttempt(NOTHING_REMEMBERED))).toMatchObject({ attempt: 1, state: 'pulling', error: undefined })
  expect(seen(again)).toMatchObject({ attempt: 2, state: 'pulling', error })
  expect(afterStart(again).error).toBe(null)
})
