import fc from 'fast-check'
import { expect, test } from 'vitest'
import { HEARTBEATS_PER_SECOND_MAX, heartbeatIntervalFor } from '../../../coordinator/decide/heartbeat-interval.ts'

test('grows with the fleet from two thousand nodes on', () => {
  const sizes = [0, 1, 2_000, 2_001, 4_000, 10_000]
  expect(sizes.map((nodes) => heartbeatIntervalFor(nodes, 1_000))).toEqual([1_000, 1_000, 1_000, 2_000, 2_000, 5_000])
})

test('never asks for more heartbeats than the coordinator takes, nor for longer waits than that needs', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 100_000 }), fc.integer({ min: 50, max: 60_000 }), (nodes, intervalMs) => {
      const askedMs = heartbeatIntervalFor(nodes, intervalMs)
      expect(askedMs % intervalMs).toBe(0)
      expect((nodes * 1000) / askedMs).toBeLessThanOrEqual(HEARTBEATS_PER_SECOND_MAX)
      const shorterMs = askedMs - intervalMs
      if (shorterMs > 0) expect((nodes * 1000) / shorterMs).toBeGreaterThan(HEARTBEATS_PER_SECOND_MAX)
    }),
  )
})
