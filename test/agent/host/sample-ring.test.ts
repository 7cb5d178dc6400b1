import fc from 'fast-check'
import { expect, test } from 'vitest'
import { RING_SAMPLES, SampleRing } from '../../../agent/host/sample-ring.ts'

const NOW = 1_700_000_000_000

test('a sample is between two readings: CPU as a rate, memory and time as at its end, by the host’s clock', () => {
  const ring = new SampleRing()
  ring.add(1_000, 500, 10)
  ring.add(2_000, 750, 20)
  ring.add(4_000, 2_750, 5)
  expect(ring.samples(10_000, NOW)).toEqual({
    at: [NOW - 8_000, NOW - 6_000],
    cpuCoresUsed: [0.25, 1],
    memoryBytesUsed: [20, 5],
  })
})

test('one reading is no sample, and none is none', () => {
  const ring = new SampleRing()
  const nothing = { at: [], cpuCoresUsed: [], memoryBytesUsed: [] }
  expect(ring.samples(0, NOW)).toEqual(nothing)
  ring.add(1_000, 500, 10)
  expect(ring.samples(2_000, NOW)).toEqual(nothing)
})

test('a counter that went back is no negative rate, and a host whose clock stands at 0 has no negative times', () => {
  const ring = new SampleRing()
  ring.add(1_000, 500, 10)
  ring.add(2_000, 400, 10)
  expect(ring.samples(9_000, 0)).toEqual({ at: [0], cpuCoresUsed: [0], memoryBytesUsed: [10] })
})

test('steps are of a second: a reading that comes sooner is not wanted', () => {
  const ring = new SampleRing()
  expect(ring.wants(5)).toBe(true)
  ring.add(5, 0, 0)
  expect([500, 904, 905, 1_005, 3_000].map((atMs) => ring.wants(atMs))).toEqual([false, false, true, true, true])
})

test('of however many readings the last sixty samples are kept, in their order', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 300 }), (readings) => {
      const ring = new SampleRing()
      for (let reading = 1; reading <= readings; reading++) ring.add(reading * 1_000, reading * 100, reading)
      const { at, cpuCoresUsed, memoryBytesUsed } = ring.samples(readings * 1_000, NOW)
      const length = Math.min(Math.max(0, readings - 1), RING_SAMPLES)
      expect(memoryBytesUsed).toEqual(Array.from({ length }, (_, index) => readings - length + 1 + index))
      expect(at).toEqual(Array.from({ length }, (_, index) => NOW - (length - 1 - index) * 1_000))
      expect(cpuCoresUsed.every((cores) => Math.abs(cores - 0.1) < 1e-9)).toBe(true)
    }),
  )
})
