import { expect, test } from 'vitest'
import {
  type EngineStops,
  endedWithEngine,
  engineCameBack,
  engineWentAway,
  NEVER_STOPPED,
} from '../../../agent/decide/engine-stop.ts'
import { afterLook, afterStart, beginAttempt, NOTHING_REMEMBERED } from '../../../agent/decide/memory.ts'
import { nextStep } from '../../../agent/decide/next-steps.ts'
import { observe } from '../../../agent/decide/observe.ts'
import { anEndedContainer, aPicture } from '../../build/container.ts'
import { aTaskSpec } from '../../build/spec.ts'

const NOW = 100_000
/** Away from 50 s to 60 s. */
const STOPPED: EngineStops = { absence: { since: 50_000, until: 60_000 }, bootedAt: null }
const restartOf = (condition: 'any' | 'on-failure' | 'none') => aTaskSpec({ restart: { condition, delayMs: 5_000 } })

/** A task of that restart condition whose container ended at `endedAt`, looked at when the Engine was back. */
function after(condition: 'any' | 'on-failure' | 'none', exitCode: number, endedAt: number, stops = STOPPED) {
  const spec = restartOf(condition)
  const container = anEndedContainer(exitCode, endedAt)
  const memory = afterLook({ ...NOTHING_REMEMBERED, attempt: 1 }, container, spec.restart, stops)
  const picture = aPicture({ spec, containers: [container], memory })
  return { memory, step: nextStep(picture, NOW)?.kind ?? null, seen: observe(picture, null, null, NOW)! }
}

test.each(['any', 'on-failure'] as const)(
  'a container that ended with its Engine is started again at once and counts no failure, whatever its exit code (%s)',
  (condition) => {
    for (const exitCode of [0, 1, 137, 143, 255]) {
      const { memory, step, seen } = after(condition, exitCode, 52_000)
      expect(memory).toMatchObject({ failures: 0, interruptions: 1, restartAt: null, endedWith: null })
      expect(step).toBe('start')
      expect(seen).toMatchObject({ state: 'restarting', interruptions: 1, error: { code: 'engine-stopped' } })
    }
  },
)

test('one that is never to be restarted has failed when its Engine stopped under it, also with exit code 0', () => {
  const { step, seen } = after('none', 0, 52_000)
  expect(step).toBe(null)
  expect(seen).toMatchObject({ state: 'failed', error: { code: 'engine-stopped' } })
})

test('an on-failure task that ended by itself before its Engine stopped has completed', () => {
  const { step, seen } = after('on-failure', 0, 40_000)
  expect(step).toBe(null)
  expect(seen).toMatchObject({ state: 'completed' })
  expect(seen.interruptions).toBeUndefined()
})

test('an end that was counted before the Engine stopped is not judged anew', () => {
  const { restart } = restartOf('on-failure')
  const container = anEndedContainer(0, 49_500)
  const counted = afterLook(NOTHING_REMEMBERED, container, restart, NEVER_STOPPED)
  expect(afterLook(counted, container, restart, STOPPED)).toEqual(counted)
})

test('it is started again as often as its Engine stops: interruptions use up no attempts', () => {
  const spec = aTaskSpec({ restart: { condition: 'on-failure', maxAttempts: 1 } })
  let memory = NOTHING_REMEMBERED
  for (let run = 1; run <= 5; run++) {
    const at = run * 10_000
    const stops: EngineStops = { absence: { since: at + 1_000, until: at + 2_000 }, bootedAt: null }
    const container = anEndedContainer(0, at + 1_500, { startedAt: at })
    memory = afterLook(afterStart(beginAttempt(memory)), container, spec.restart, stops)
    expect(nextStep(aPicture({ spec, containers: [container], memory }), at + 3_000)?.kind).toBe('start')
  }
  expect(memory).toMatchObject({ attempt: 5, failures: 0, interruptions: 5 })
})

test('what was started before the host was switched on ended with the host', () => {
  const stops: EngineStops = { absence: null, bootedAt: 30_000 }
  expect(after('on-failure', 0, 20_000, stops).step).toBe('start')
  expect(endedWithEngine({ startedAt: 31_000, finishedAt: 40_000 }, stops)).toBe(false)
})

test('the time of an end tells whether it belongs to an absence: begun before it, ended from a little before to a little after', () => {
  const ended = (startedAt: number | null, finishedAt: number | null) =>
    endedWithEngine({ startedAt, finishedAt }, STOPPED)
  expect(ended(1_000, 49_000)).toBe(true)
  expect(ended(1_000, 61_000)).toBe(true)
  expect(ended(1_000, 47_000)).toBe(false)
  expect(ended(1_000, 63_000)).toBe(false)
  expect(ended(50_500, 55_000)).toBe(false)
  expect(ended(null, null)).toBe(false)
})

test('an absence lasts from the first moment without an answer to the first with one', () => {
  const away = engineWentAway(engineWentAway(NEVER_STOPPED, 50_000), 55_000)
  expect(away.absence).toEqual({ since: 50_000, until: null })
  const back = engineCameBack(away, 60_000, true)
  expect(back).toEqual(STOPPED)
  expect(engineCameBack(back, 70_000, true)).toEqual(back)
  expect(engineWentAway(back, 80_000).absence).toEqual({ since: 80_000, until: null })
})

test('where containers go on without their Engine its absence ends none of them', () => {
  expect(engineCameBack(engineWentAway(NEVER_STOPPED, 50_000), 60_000, false)).toEqual(NEVER_STOPPED)
})
