import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { BACK_OFF, backOffMs } from '../../../agent/link/back-off.ts'
import { untilNext } from '../../../agent/link/heartbeat.ts'
import {
  FIRST_LINK_STATE,
  type LinkEvent,
  type LinkState,
  nextLinkState,
  SETTLED_MS,
} from '../../../agent/link/link-state.ts'
import { NOW } from '../../build/world.ts'

const chance = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
const event = fc.constantFrom<LinkEvent>(
  { kind: 'connect' },
  { kind: 'welcomed' },
  { kind: 'lost', why: 'it broke' },
  { kind: 'refused', why: 'no', retry: true },
  { kind: 'refused', why: 'no', retry: false },
)

function stateAfter(...events: [LinkEvent, number][]): LinkState {
  return events.reduce((state, [each, at]) => nextLinkState(state, each, at, 0.999), FIRST_LINK_STATE)
}

describe('a lost connection', () => {
  test('is retried at once when it had been good', () => {
    const lostAt = NOW + SETTLED_MS
    const state = stateAfter(
      [{ kind: 'connect' }, NOW],
      [{ kind: 'welcomed' }, NOW],
      [{ kind: 'lost', why: '' }, lostAt],
    )
    expect(state).toEqual({ name: 'waiting', attempt: 1, until: lostAt })
  })

  test('is not retried at once when it broke right after the welcome, so that two agents of a name do not chase each other', () => {
    const state = stateAfter([{ kind: 'connect' }, NOW], [{ kind: 'welcomed' }, NOW], [{ kind: 'lost', why: '' }, NOW])
    expect(state).toEqual({ name: 'waiting', attempt: 2, until: NOW + BACK_OFF.firstMs })
  })

  test('is retried later and later, up to the maximum', () => {
    let state = FIRST_LINK_STATE
    const waits: number[] = []
    for (let i = 0; i < 9; i++) {
      state = nextLinkState(nextLinkState(state, { kind: 'connect' }, NOW, 0), { kind: 'lost', why: '' }, NOW, 0.9999)
      waits.push(state.name === 'waiting' ? state.until - NOW : -1)
    }
    expect(waits).toEqual([100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000])
  })
})

test('a refusal that waiting does not mend is retried about every 30 s', () => {
  fc.assert(
    fc.property(chance, (c) => {
      const state = nextLinkState(FIRST_LINK_STATE, { kind: 'refused', why: '', retry: false }, NOW, c)
      const waitMs = state.name === 'waiting' ? state.until - NOW : 0
      expect(waitMs).toBeGreaterThanOrEqual(0.75 * BACK_OFF.refusedMs)
      expect(waitMs).toBeLessThanOrEqual(1.25 * BACK_OFF.refusedMs)
    }),
  )
})

test('whatever happens, the wait is bounded and closed is for good', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(event, chance)), (events) => {
      let state = FIRST_LINK_STATE
      for (const [each, c] of events) {
        state = nextLinkState(state, each, NOW, c)
        if (state.name === 'waiting') expect(state.until - NOW).toBeLessThanOrEqual(1.25 * BACK_OFF.refusedMs)
      }
      state = nextLinkState(state, { kind: 'stop', why: 'done' }, NOW, 0)
      for (const [each, c] of events) state = nextLinkState(state, each, NOW, c)
      expect(state).toEqual({ name: 'closed', why: 'done' })
    }),
  )
})

test('a thousand agents come back spread over the interval', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 50 }), chance, chance, (attempt, a, b) => {
      const [first, second] = [backOffMs(attempt, Math.min(a, b)), backOffMs(attempt, Math.max(a, b))]
      expect(first).toBeLessThanOrEqual(second)
      expect(second).toBeLessThanOrEqual(BACK_OFF.maxMs)
    }),
  )
})

test('a heartbeat keeps its step, and one that is late does not bring a burst', () => {
  expect(untilNext(1_003, 1_000)).toBe(997)
  expect(untilNext(9_800, 1_000)).toBe(200)
  expect(untilNext(999, 1_000)).toBe(1_001)
  expect(untilNext(2_000, 1_000)).toBe(1_000)
})
