import { expect, test } from 'vitest'
import {
  afterLook,
  afterStart,
  beginAttempt,
  NOTHING_REMEMBERED,
  type TaskMemory,
} from '../../../agent/decide/memory.ts'
import { endedForGood, nextSteps, printStep } from '../../../agent/decide/next-steps.ts'
import { afterHealth } from '../../../agent/decide/sickness.ts'
import type { RestartPolicy } from '../../../shared/spec.ts'
import { aContainer, anEndedContainer, aPicture, OWNER } from '../../build/container.ts'
import { aTaskSpec } from '../../build/spec.ts'

const ANY: RestartPolicy = { condition: 'any', delayMs: 0, windowMs: 0 }
const RUNS: TaskMemory = { ...NOTHING_REMEMBERED, attempt: 1, seenRun: 1_000 }
const UNHEALTHY = aContainer({ health: 'unhealthy', healthMessage: 'GET /healthz → 500' })
const seenSick = (given: Partial<TaskMemory> = {}, policy: RestartPolicy | null = ANY, now = 60_000) =>
  afterHealth({ ...RUNS, ...given }, UNHEALTHY, policy, now)

test('an unhealthy container is stopped after its back-off, not at once, and not when it recovers meanwhile', () => {
  const memory = seenSick()
  expect(memory.sick).toEqual({ attempt: 1, stopAt: 61_000, message: 'GET /healthz → 500' })
  const steps = (containers: (typeof UNHEALTHY)[], now: number, given = memory) =>
    nextSteps([aPicture({ containers, memory: given })], OWNER, now).map(printStep)
  expect(steps([UNHEALTHY], 60_500)).toEqual(['wait shop_api.1.a until 1970-01-01T00:01:01.000Z'])
  expect(steps([UNHEALTHY], 61_000)).toEqual(['stop shop_api.1.a c0ffee (unhealthy)'])
  const recovered = aContainer({ health: 'healthy' })
  const healed = afterHealth(memory, recovered, ANY, 60_800)
  expect(healed).toMatchObject({ sick: null, failures: 0 })
  expect(steps([recovered], 61_000, healed)).toEqual([])
})

test('seen twice it counts once; each next attempt that is unhealthy waits longer', () => {
  const first = seenSick()
  expect(afterHealth(first, UNHEALTHY, ANY, 60_900)).toBe(first)
  const waits = [1, 2, 3, 4, 9].map((failures) => seenSick({ failures: failures - 1 }).sick!.stopAt - 60_000)
  expect(waits).toEqual([1_000, 1_000, 2_000, 4_000, 60_000])
})

test('one that was healthy for long begins its count anew; one that never was does not', () => {
  expect(seenSick({ failures: 5, soundAttempt: 1 }).failures).toBe(1)
  expect(seenSick({ failures: 5 }).failures).toBe(6)
})

test('its end is counted and waited for already: it is started again at once, whatever its exit code and condition', () => {
  const policy: RestartPolicy = { ...ANY, condition: 'on-failure' }
  const spec = aTaskSpec({ restart: policy })
  const ended = anEndedContainer(0, 61_500)
  const memory = afterLook(seenSick({}, policy), ended, policy)
  expect(memory).toMatchObject({
    failures: 1,
    restartAt: null,
    error: { code: 'unhealthy', message: 'was unhealthy: GET /healthz → 500' },
  })
  expect(nextSteps([aPicture({ spec, containers: [ended], memory })], OWNER, 61_500).map(printStep)).toEqual([
    'start shop_api.1.a c0ffee',
  ])
  expect(afterStart(beginAttempt(memory))).toMatchObject({ attempt: 2, sick: null, error: null })
})

test('after its most attempts it is stopped, and has failed', () => {
  const policy: RestartPolicy = { ...ANY, maxAttempts: 2 }
  const memory = afterLook(seenSick({ failures: 2 }, policy), anEndedContainer(137, 61_500), policy)
  expect(endedForGood(anEndedContainer(137, 61_500), aTaskSpec({ restart: policy }), memory)).toBe(true)
})

test('one that is not to be started again, or that nobody wants, is left as it is', () => {
  expect(seenSick({}, { ...ANY, condition: 'none' }).sick).toBeNull()
  expect(seenSick({}, null).sick).toBeNull()
})
