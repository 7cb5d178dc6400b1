import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { LogGaps } from '../../coordinator/logs/log-gaps.ts'

beforeEach(() => void vi.useFakeTimers({ now: Date.parse('2026-11-26T10:00:05Z') }))
afterEach(() => void vi.useRealTimers())

const at = (second: number) => Date.parse('2026-11-26T10:00:00Z') + second * 1_000
const gap = (container: string, from: number | null, to: number) => ({
  container,
  task: 'shop_api.1.a',
  name: 'shop_api.1',
  node: 'n1',
  from: from === null ? null : at(from),
  to: at(to),
})

test('the first gaps of a minute are told at once with their times, the others together when it is over', () => {
  const told: string[] = []
  const gaps = new LogGaps((_, message) => told.push(message.split(' may be missing')[0]!), Date.now)
  gaps.add(gap('c1', 1, 2))
  gaps.add(gap('c2', null, 9))
  expect(told).toEqual([
    'lines of shop_api.1 between 2026-11-26T10:00:01.000Z and 2026-11-26T10:00:02.000Z',
    'lines of shop_api.1 before 2026-11-26T10:00:09.000Z',
  ])
  for (let second = 10; second < 50; second += 2) gaps.add(gap('c1', second, second + 1))
  const further = 'lines of shop_api.1 in further places between 2026-11-26T10:00:48.000Z and 2026-11-26T10:01:05.000Z'
  expect(told.slice(2 + 19)).toEqual([further])
  gaps.add(gap('c1', 51, 52))
  vi.advanceTimersByTime(60_000)
  const rest = 'lines of shop_api.1 in 2 places between 2026-11-26T10:00:48.000Z and 2026-11-26T10:00:52.000Z'
  expect(told.slice(22)).toEqual([rest])
  vi.advanceTimersByTime(600_000)
  expect(told.length).toBe(23)
  gaps.add(gap('c1', 40, 41))
  expect(told.length).toBe(24)
})

test('containers without end that have gaps are not all told', () => {
  let told = 0
  const gaps = new LogGaps(() => {
    told += 1
  }, Date.now)
  for (let container = 0; container < 5_000; container++) gaps.add(gap(`c${container}`, 1, 2))
  expect(told).toBe(1_000)
})
