import { expect, test } from 'vitest'
import { FLOOD_BYTES, type Inflow, inflowWith, isFlood, NO_INFLOW } from '../../../agent/host/flood.ts'

const NOW = Date.parse('2026-11-26T10:00:00Z')
const HALF = FLOOD_BYTES / 2

function after(...rounds: [bytes: number, atMs: number][]): Inflow {
  return rounds.reduce((inflow, [bytes, atMs]) => inflowWith(inflow, bytes, NOW + atMs), NO_INFLOW)
}

test('lines that come slowly are no flood, however many there are', () => {
  const minutes = Array.from({ length: 120 }, (_, at): [number, number] => [HALF, at * 1_000])
  expect(minutes.map((_, at) => isFlood(after(...minutes.slice(0, at + 1))))).not.toContain(true)
})

test('so many bytes within a second are a flood, in one round or in several', () => {
  expect(isFlood(after([FLOOD_BYTES, 0]))).toBe(true)
  expect(isFlood(after([HALF, 0], [HALF, 999]))).toBe(true)
  expect(isFlood(after([HALF, 0], [HALF - 1, 999]))).toBe(false)
})

test('what came in the second before does not count', () => {
  expect(after([HALF, 0], [HALF, 1_000])).toEqual({ sinceMs: NOW + 1_000, bytes: HALF })
})

test('a clock that is set back by an hour does not make a flood of what comes in that hour', () => {
  expect(isFlood(after([HALF, 0], [HALF, -3_600_000], [1, -3_599_000]))).toBe(false)
})
