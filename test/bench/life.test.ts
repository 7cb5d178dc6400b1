import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { draw, LIFELIKE, type Life, STEADY, skewed, usageAt, waitMs } from '../../bench/fleet/life.ts'
import { simulatedLoadMeter, simulatedSupervisor } from '../../bench/fleet/simulated-parts.ts'
import type { AssignedTask } from '../../shared/wire/down.ts'
import type { TaskObservation } from '../../shared/wire/up.ts'

const HOUR_MS = 3_600_000

function task(id: string, desired: AssignedTask['desired'] = 'running'): AssignedTask {
  return { id, stack: 'shop', service: 'shop_web', slot: 1, spec: 'x', desired }
}

/** What an agent with these tasks tells in an hour, by task. */
async function anHourOf(life: Life, ids: string[]): Promise<Map<string, TaskObservation[]>> {
  vi.useFakeTimers({ now: 0 })
  onTestFinished(() => void vi.useRealTimers())
  const supervisor = simulatedSupervisor(life)
  const told = new Map<string, TaskObservation[]>(ids.map((id) => [id, []]))
  supervisor.onChange(({ tasks }) => {
    for (const seen of tasks) told.get(seen.task)?.push(seen)
  })
  await supervisor.assign({ kind: 'assignment', revision: 1, specs: {}, tasks: ids.map((id) => task(id)) })
  await vi.advanceTimersByTimeAsync(HOUR_MS)
  return told
}

const IDS = Array.from({ length: 50 }, (_, index) => `shop_web.${index + 1}.a`)

describe('simulated containers', () => {
  test('live the same life for the same seed, whatever is beside them, and another for another seed', async () => {
    const life = { ...LIFELIKE, crashesPerHour: 3 }
    const all = await anHourOf(life, IDS)
    const some = await anHourOf(life, IDS.toReversed().slice(0, 10))
    for (const [id, seen] of some) expect(seen).toEqual(all.get(id))
    const other = await anHourOf({ ...life, seed: 2 }, IDS)
    expect([...other.values()]).not.toEqual([...all.values()])
  })

  test('start once and run for ever when life is steady', async () => {
    for (const seen of (await anHourOf(STEADY, IDS)).values()) {
      expect(seen.map(({ state, attempt }) => [state, attempt])).toEqual([
        ['starting', 1],
        ['running', 1],
      ])
    }
  })

  test('that crash are started again as another attempt', async () => {
    const seen = [...(await anHourOf({ ...STEADY, crashesPerHour: 5 }, IDS)).values()].flat()
    const crashes = seen.filter(({ state }) => state === 'restarting')
    expect(crashes.length).toBeGreaterThan(50)
    for (const { task: id, attempt } of crashes) {
      expect(seen.some((later) => later.task === id && later.attempt === attempt + 1)).toBe(true)
    }
  })

  test('fail at so many starts as is asked for', async () => {
    const seen = [...(await anHourOf({ ...STEADY, startsFailing: 0.5 }, IDS)).values()].flat()
    const failed = seen.filter(({ state }) => state === 'restarting').length
    const started = seen.filter(({ state }) => state === 'starting').length
    expect(failed / started).toBeGreaterThan(0.3)
    expect(failed / started).toBeLessThan(0.7)
  })

  test('that are told to stop while they are started do not run', async () => {
    vi.useFakeTimers({ now: 0 })
    onTestFinished(() => void vi.useRealTimers())
    const supervisor = simulatedSupervisor(STEADY)
    const told: string[] = []
    supervisor.onChange(({ tasks }) => told.push(...tasks.map(({ state }) => state)))
    await supervisor.assign({ kind: 'assignment', revision: 1, specs: {}, tasks: [task('a.1.a')] })
    await supervisor.assign({ kind: 'assignment', revision: 2, specs: {}, tasks: [task('a.1.a', 'stopped')] })
    await vi.advanceTimersByTimeAsync(60_000)
    expect(told).toEqual(['starting', 'stopped'])
  })
})

test('the load of a service goes up and down in a day and is the same a day later, but for its noise', () => {
  const at = (hour: number) => usageAt(LIFELIKE, 'shop_web', 'shop_web.1.a', hour * LIFELIKE.dayMs).cpuCores
  const day = Array.from({ length: 48 }, (_, step) => at(step / 48))
  expect(Math.max(...day)).toBeGreaterThan(3 * Math.min(...day))
  for (const step of [0, 12, 24, 36]) expect(at(1 + step / 48) / day[step]!).toBeGreaterThan(0.6)
})

test('a heartbeat names one container in ten, and all of them when everything is asked for', () => {
  const meter = simulatedLoadMeter(STEADY, 'n1')
  const containers = IDS.map((id) => ({
    task: id,
    containerId: id,
    attempt: 1,
    pid: 0,
    logPath: null,
    memoryBytesLimit: null,
  }))
  const named = Array.from({ length: 10 }, () => meter.sample(containers).containers.map((load) => load.task))
  expect(named.every(({ length }) => length === 5)).toBe(true)
  expect(new Set(named.flat()).size).toBe(50)
  expect(meter.sample(containers, { all: true }).containers).toHaveLength(50)
})

test('draws are spread evenly, and alike names have other fates', () => {
  const draws = Array.from({ length: 1_000 }, (_, index) => draw(7, `shop_web.${index}.a`, 1, 'start'))
  const below = (limit: number) => draws.filter((value) => value < limit).length
  for (const share of [0.1, 0.5, 0.9]) expect(Math.abs(below(share) - 1_000 * share)).toBeLessThan(60)
  expect(skewed([10, 1_000], 0)).toBe(10)
  expect(skewed([10, 1_000], 0.5)).toBeLessThan(100)
  expect(waitMs(0, 0.5)).toBeNull()
  expect(waitMs(2, 0.5)).toBeCloseTo((Math.LN2 * HOUR_MS) / 2, 3)
})
