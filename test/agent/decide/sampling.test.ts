import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  CALM_MS_MAX,
  type Pace,
  paceAfter,
  SETTLE_MS,
  type Sign,
  servicesInRollout,
  signOf,
  withinBudget,
  YOUNG_MS,
} from '../../../agent/decide/sampling.ts'
import { type ContainerLoad, PACE_REASONS } from '../../../shared/load.ts'
import { SAMPLING_DEFAULTS, type Sampling } from '../../../shared/spec.ts'
import type { AssignedTask } from '../../../shared/wire/down.ts'
import { aContainer } from '../../build/container.ts'

const MiB = 1024 * 1024
const NOW = 10_000_000

const aLoad = (given: Partial<ContainerLoad> = {}): ContainerLoad => ({
  ...{ task: 't', cpuCoresUsed: 0.5, memoryBytesUsed: 100 * MiB },
  ...given,
})
const anAssigned = (given: Partial<AssignedTask> = {}): AssignedTask => ({
  ...{ id: 't', stack: 's', service: 's_api', slot: 1, spec: 'x', desired: 'running' },
  ...given,
})

type Look = {
  before?: Pace | null
  sign?: Sign
  loadBefore?: ContainerLoad
  load?: ContainerLoad | null
  sampling?: Sampling
  now?: number
}
function look({
  before = null,
  sign,
  loadBefore = aLoad(),
  load = aLoad(),
  sampling = SAMPLING_DEFAULTS,
  now = NOW,
}: Look): Pace {
  return paceAfter(before, sign ?? null, { loadBefore, load }, sampling, now)
}
const told = ({ everyMs, because }: Pace) => [everyMs, because]

describe('a container is watched at full rate', () => {
  test.each<[string, Look, string]>([
    ['while its rate is not known yet', { load: null }, 'first-look'],
    ['while the supervisor has a reason', { sign: 'unhealthy' }, 'unhealthy'],
    [
      'for that reason, whatever its load shows',
      { sign: 'starting', load: aLoad({ cpuThrottledShare: 1 }) },
      'starting',
    ],
    ['while its CPU limit throttles it', { load: aLoad({ cpuThrottledShare: 0.05 }) }, 'throttled'],
    [
      'at 85 % of its memory limit',
      { load: aLoad({ memoryBytesUsed: 85 * MiB, memoryBytesLimit: 100 * MiB }) },
      'near-limit',
    ],
    ['when its CPU has moved', { load: aLoad({ cpuCoresUsed: 0.7 }) }, 'changing'],
    ['when its memory has grown', { load: aLoad({ memoryBytesUsed: 120 * MiB }) }, 'changing'],
  ])('%s', (_when, given, because) => {
    expect(told(look(given))).toEqual([SAMPLING_DEFAULTS.fullMs, because])
  })

  test.each<[string, ContainerLoad]>([
    ['throttled in less than a twentieth of its time', aLoad({ cpuThrottledShare: 0.04 })],
    ['at 84 % of its memory limit', aLoad({ memoryBytesLimit: 100 * MiB, memoryBytesUsed: 84 * MiB })],
    ['CPU moved by a fifth', aLoad({ cpuCoresUsed: 0.6 })],
    ['memory moved by 15 MiB', aLoad({ memoryBytesUsed: 115 * MiB })],
  ])('and not for a little: %s', (_what, load) => {
    expect(
      told(
        look({
          loadBefore: { ...load, cpuCoresUsed: 0.5, memoryBytesUsed: Math.min(load.memoryBytesUsed, 100 * MiB) },
          load,
        }),
      ),
    ).toEqual([SAMPLING_DEFAULTS.calmMs, 'calm'])
  })
})

describe('after trouble', () => {
  test('it is watched as closely for a while, then half as often at each step, until it is calm', () => {
    let pace = look({ sign: 'unhealthy' })
    const after: unknown[] = []
    for (const ms of [1, SETTLE_MS - 1, SETTLE_MS, 2 * SETTLE_MS, 3 * SETTLE_MS, 4 * SETTLE_MS, 9 * SETTLE_MS]) {
      pace = look({ before: pace, now: NOW + ms })
      after.push(told(pace))
    }
    expect(after).toEqual([
      [1000, 'settling'],
      [1000, 'settling'],
      [2000, 'settling'],
      [4000, 'settling'],
      [8000, 'settling'],
      [10_000, 'calm'],
      [10_000, 'calm'],
    ])
  })

  test('new trouble on the way begins anew', () => {
    const settling = look({ before: look({ sign: 'unhealthy' }), now: NOW + 2 * SETTLE_MS })
    const again = look({ before: settling, sign: 'restarted', now: NOW + 2 * SETTLE_MS + 1 })
    expect(told(again)).toEqual([1000, 'restarted'])
    expect(told(look({ before: again, now: NOW + 3 * SETTLE_MS }))).toEqual([1000, 'settling'])
  })

  test('a service that is to be sampled evenly is, in trouble and out of it', () => {
    const sampling = { fullMs: 5000, calmMs: 5000 }
    const sick = look({ sign: 'unhealthy', sampling })
    expect(told(sick)).toEqual([5000, 'unhealthy'])
    expect(told(look({ before: sick, sampling, now: NOW + SETTLE_MS }))).toEqual([5000, 'calm'])
  })
})

describe('the sign of a container', () => {
  const old = aContainer({ state: 'running', startedAt: NOW - YOUNG_MS, health: 'none' })
  const none = new Set<string>()

  test.each<[string, Parameters<typeof signOf>, Sign | null]>([
    ['none of one that has run for a minute', [old, anAssigned(), 1, none, NOW], null],
    [
      'starting in its first minute',
      [{ ...old, startedAt: NOW - YOUNG_MS + 1 }, anAssigned(), 1, none, NOW],
      'starting',
    ],
    [
      'restarted in the first minute of a later attempt',
      [{ ...old, startedAt: NOW - 1 }, anAssigned(), 2, none, NOW],
      'restarted',
    ],
    [
      'starting as long as its health test has not said',
      [{ ...old, health: 'starting' }, anAssigned(), 1, none, NOW],
      'starting',
    ],
    ['unhealthy', [{ ...old, health: 'unhealthy' }, anAssigned(), 1, none, NOW], 'unhealthy'],
    ['rollout while its service has two specs here', [old, anAssigned(), 1, new Set(['s_api']), NOW], 'rollout'],
    ['stopping when it is', [old, anAssigned({ desired: 'stopped' }), 1, none, NOW], 'stopping'],
    ['stopping when nobody wants it', [old, null, 1, none, NOW], 'stopping'],
  ])('%s', (_what, given, expected) => {
    expect(signOf(...given)).toBe(expected)
  })

  test('a service is under rollout on a node that has tasks of two of its specs', () => {
    const tasks = [anAssigned(), anAssigned({ spec: 'y' }), anAssigned({ service: 'b' }), anAssigned({ service: 'b' })]
    expect(servicesInRollout(tasks)).toEqual(new Set(['s_api']))
  })
})

describe('the budget of a host', () => {
  const aPace = (given: Partial<Pace> = {}): Pace => ({
    ...{ everyMs: 1000, wantedMs: given.everyMs ?? 1000, because: 'changing', troubledAt: null },
    ...given,
  })
  const calm = aPace({ everyMs: 10_000, because: 'calm' })
  const perSecond = (paces: readonly Pace[]) => paces.reduce((sum, { everyMs }) => sum + 1000 / everyMs, 0)

  test('changes nothing where there is room', () => {
    const paces = [...Array(9).fill(aPace()), ...Array(10).fill(calm)]
    expect(withinBudget(paces, 10)).toEqual(paces)
  })

  test('takes from calm ones first', () => {
    const paces = withinBudget([...Array(8).fill(aPace()), ...Array(40).fill(calm)], 10)
    expect(paces[0]).toMatchObject({ everyMs: 1000 })
    expect(paces[10]).toMatchObject({ everyMs: 20_000, wantedMs: 10_000 })
  })

  test('leaves calm ones a look a minute and shares the rest evenly, when all are in trouble', () => {
    const paces = withinBudget([...Array(20).fill(aPace()), ...Array(60).fill(calm)], 10)
    expect(paces[20]).toMatchObject({ everyMs: CALM_MS_MAX })
    expect(paces[0]).toMatchObject({ everyMs: Math.ceil(20_000 / 9) })
  })

  test('is given back when there is room again', () => {
    const crowd = withinBudget(Array(20).fill(aPace()), 10)
    expect(crowd[0]!.everyMs).toBe(2000)
    expect(withinBudget(crowd.slice(0, 5), 10)).toEqual(Array(5).fill(aPace()))
  })

  test('is kept whatever is wanted; nobody is looked at more often than wanted; asking again changes nothing', () => {
    const somePace = fc
      .record({ seconds: fc.integer({ min: 1, max: 60 }), because: fc.constantFrom(...PACE_REASONS) })
      .map(({ seconds, because }) => aPace({ everyMs: seconds * 1000, because }))
    fc.assert(
      fc.property(fc.array(somePace, { maxLength: 200 }), fc.integer({ min: 1, max: 100 }), (paces, max) => {
        const kept = withinBudget(paces, max)
        expect(perSecond(kept)).toBeLessThanOrEqual(max + 1e-6)
        for (const { everyMs, wantedMs } of kept) expect(everyMs).toBeGreaterThanOrEqual(wantedMs)
        expect(withinBudget(kept, max)).toEqual(kept)
      }),
    )
  })
})
