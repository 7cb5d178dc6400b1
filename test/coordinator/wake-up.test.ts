import { expect, test } from 'vitest'
import { createWakeUp } from '../../coordinator/wake-up.ts'
import { systemClock } from '../../shared/clock.ts'

const never = new AbortController().signal

test('notes left in one turn wake once', async () => {
  const wakeUp = createWakeUp(systemClock)
  wakeUp.now()
  wakeUp.now()
  await wakeUp.wait(never)
  let woke = false
  const stop = new AbortController()
  const second = wakeUp.wait(stop.signal).then(() => {
    woke = true
  })
  await systemClock.sleep(20)
  expect(woke).toBe(false)
  stop.abort()
  await second
})

test('a note wakes who waits for a later instant, and then that instant is no more', async () => {
  const wakeUp = createWakeUp(systemClock)
  wakeUp.in(60_000)
  const waiting = wakeUp.wait(never)
  wakeUp.now()
  expect((await waiting).stallMs).toBeLessThan(60_000)
})

test('waking later than was meant is told, from the earlier of note and instant', async () => {
  let now = 1_000
  const wakeUp = createWakeUp({ ...systemClock, now: () => now, sleep: async () => {} })
  wakeUp.at(1_100)
  now = 1_500
  wakeUp.now()
  now = 1_700
  expect(await wakeUp.wait(never)).toEqual({ stallMs: 600 })
  wakeUp.now()
  expect(await wakeUp.wait(never)).toEqual({ stallMs: 0 })
})

test('an aborted signal ends the wait', async () => {
  const wakeUp = createWakeUp(systemClock)
  await wakeUp.wait(AbortSignal.abort())
  const stop = new AbortController()
  setTimeout(() => stop.abort(), 5)
  await wakeUp.wait(stop.signal)
})
