import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { defaultSettings } from '../../../coordinator/decide/settings.ts'
import { signIntervalMs } from '../../../coordinator/decide/signs.ts'
import { heardBeat, silenceLimitMs } from '../../../coordinator/decide/silence.ts'
import type { HeardStatistics } from '../../../coordinator/world.ts'
import { chanceFrom } from '../../build/chance.ts'
import { afterIntervals } from '../../build/heard.ts'
import { NOW } from '../../build/world.ts'

const settings = defaultSettings(NOW - 3_600_000)
/** How often the nodes of a small cluster are asked for a sign of life, and those of a large one. */
const asked = signIntervalMs(10, 1000)!
const notAsked = signIntervalMs(1000, 1000)
const BOTH = [
  { how: 'asked for signs', signsEveryMs: asked },
  { how: 'not asked', signsEveryMs: notAsked },
]
const regular = afterIntervals(Array(60).fill(1000))

describe('how long a node may be silent', () => {
  test('is what any host may stand still and one sign of life more, for one that was heard every second', () => {
    expect(silenceLimitMs(regular, settings, asked)).toBe(2_450)
    expect(silenceLimitMs(regular, settings, notAsked)).toBe(3_250)
  })

  test('is more for one that stutters, up to a limit, and less again once it does not', () => {
    const stutters = Array.from({ length: 60 }, (_, index) => (index % 4 === 0 ? 2_200 : 600))
    expect(silenceLimitMs(afterIntervals(stutters), settings, asked)).toBeGreaterThan(3_500)
    const wild = afterIntervals(Array.from({ length: 60 }, (_, index) => (index % 2 === 0 ? 9_000 : 10)))
    expect(silenceLimitMs(wild, settings, asked)).toBe(settings.silenceMaxMs)
    const calm = afterIntervals([...stutters, ...Array(60).fill(1000)])
    expect(silenceLimitMs(calm, settings, asked)).toBe(2_450)
  })

  test('whatever the past, lies between the least and the most', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 100_000 })),
        fc.constantFrom(asked, notAsked),
        (intervalsMs, signsEveryMs) => {
          const limitMs = silenceLimitMs(afterIntervals(intervalsMs), settings, signsEveryMs)
          expect(limitMs).toBeGreaterThan(settings.stallMs)
          expect(limitMs).toBeLessThanOrEqual(settings.silenceMaxMs)
        },
      ),
    )
  })

  test('many nodes are asked less often, and more of them not at all', () => {
    expect([1, 20, 40, 50, 51, 10_000].map((nodes) => signIntervalMs(nodes, 1000))).toEqual([
      ...[200, 200, 400, 500],
      ...[null, null],
    ])
    expect(signIntervalMs(3, 60)).toBeNull()
  })
})

describe('a host that stands still for up to two seconds', () => {
  const stall = fc.record({ afterMs: fc.integer({ min: 0, max: 30_000 }), ms: fc.integer({ min: 1, max: 2_000 }) })

  test.each(BOTH)('is never given up for it, whenever it comes and how often, $how', ({ signsEveryMs }) => {
    fc.assert(
      fc.property(fc.array(stall, { maxLength: 40 }), (stalls) => {
        expect(evictions(stalls, signsEveryMs, () => 0)).toEqual([])
      }),
      { numRuns: 300 },
    )
  })

  test.each(BOTH)('nor with 5 % of all packets lost, in a day with a stall a minute, $how', ({ signsEveryMs }) => {
    const chance = chanceFrom(7)
    const stalls = Array.from({ length: 24 * 60 }, () => ({ afterMs: 60_000 * 2 * chance(), ms: 2_000 * chance() }))
    const evicted = evictions(stalls, signsEveryMs, (nextMs) => lostMs(chance, nextMs))
    expect(evicted).toEqual([])
  })

  test('and one that stands still for longer, again and again, is given up once at the most', () => {
    const stalls = Array.from({ length: 30 }, () => ({ afterMs: 8_000, ms: 3_500 }))
    expect(evictions(stalls, asked, () => 0).length).toBeLessThanOrEqual(1)
  })
})

/**
 * How late a packet is: what is lost is sent again after 200 ms, then after 400, …; or as soon as the host sends another one, whose
 * acknowledgement tells of the gap.
 */
function lostMs(chance: () => number, untilNextMs: number): number {
  let ms = 0
  for (let retryMs = 200; chance() < 0.05; retryMs *= 2) ms += Math.max(ROUND_TRIP_MS, Math.min(retryMs, untilNextMs))
  return ms
}

const ROUND_TRIP_MS = 5

type Stall = { afterMs: number; ms: number }
type Word = { at: number; kind: 'heartbeat' | 'sign' }

/** What was silent too long by what was heard until then: how long, and what the limit was. */
function evictions(stalls: Stall[], signsEveryMs: number | null, lateMs: (untilNextMs: number) => number) {
  const evicted: { silentMs: number; limitMs: number }[] = []
  let heard: HeardStatistics = regular
  for (const { at, kind } of wordsOf(stalls, signsEveryMs, lateMs)) {
    const silentMs = at - heard.lastAt
    const limitMs = silenceLimitMs(heard, settings, signsEveryMs)
    if (silentMs >= limitMs) evicted.push({ silentMs, limitMs })
    heard = kind === 'heartbeat' ? heardBeat(heard, at) : { ...heard, lastAt: at }
  }
  return evicted
}

/**
 * What arrives of a host in order, on one connection: heartbeats in step, of those it missed while it stood still one; and an
 * answer to each ping, once it goes on.
 */
function wordsOf(stalls: Stall[], signsEveryMs: number | null, lateMs: (untilNextMs: number) => number): Word[] {
  const stillFrom: { from: number; to: number }[] = []
  let until = NOW
  for (const { afterMs, ms } of stalls) {
    stillFrom.push({ from: until + afterMs, to: until + afterMs + ms })
    until += afterMs + ms
  }
  const words: Word[] = []
  let next = 0
  const awake = (at: number) => {
    while (next < stillFrom.length && stillFrom[next]!.to <= at) next += 1
    const still = stillFrom[next]
    return still && at >= still.from ? still.to : at
  }
  const stepMs = signsEveryMs ?? 1000
  let beatDueAt = NOW + 1000
  for (let at = NOW + stepMs; at < until + 10_000; at += stepMs) {
    const saidAt = awake(at)
    if (saidAt >= beatDueAt) {
      words.push({ at: saidAt, kind: 'heartbeat' })
      beatDueAt = NOW + 1000 * (Math.floor((saidAt - NOW) / 1000) + 1)
    } else words.push({ at: saidAt, kind: 'sign' })
  }
  let arrivedAt = 0
  return words.map(({ at, kind }, index) => {
    const untilNextMs = (words[index + 1]?.at ?? at + stepMs) - at
    arrivedAt = Math.max(arrivedAt, at + lateMs(untilNextMs))
    return { at: arrivedAt, kind }
  })
}
