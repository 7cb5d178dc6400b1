import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { retryAfterMs, verdictOf, WAIT_MS_MAX, waitMs } from '../../../../coordinator/decide/forwarding/answers.ts'
import { isServiceWanted, matches, stackOf } from '../../../../coordinator/decide/forwarding/wanted.ts'
import { ALL_LINES } from '../../../../shared/forwarding/config.ts'

const NOW = Date.parse('2026-11-27T08:00:00Z')

describe('what an answer means', () => {
  test.each([
    [200, 'taken'],
    [204, 'taken'],
    [400, 'never'],
    [422, 'never'],
    [413, 'smaller'],
    // What an operator can mend must not cost lines.
    [301, 'later'],
    [401, 'later'],
    [403, 'later'],
    [404, 'later'],
    [429, 'later'],
    [500, 'later'],
    [503, 'later'],
  ])('%d: %s', (status, verdict) => expect(verdictOf(status)).toBe(verdict))

  test('Retry-After is seconds or a date, of ten minutes at most; what is neither asks for nothing', () => {
    const asked = ['7', 'Fri, 27 Nov 2026 08:00:30 GMT', 'Fri, 27 Nov 2026 07:00:00 GMT', '999999', 'soon', undefined]
    expect(asked.map((text) => retryAfterMs(text, NOW))).toEqual([7_000, 30_000, 0, 600_000, 0, 0])
  })
})

test('waits grow to a minute, with chance in their second half, and are never shorter than the target asked for', () => {
  expect([1, 2, 3, 6, 7, 50].map((failures) => waitMs(failures, 0, 1))).toEqual([
    1_000, 2_000, 4_000, 32_000, 60_000, 60_000,
  ])
  expect(waitMs(1, 0, 0)).toBe(500)
  expect(waitMs(1, 90_000, 0.5)).toBe(90_000)
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 1e6 }), fc.double({ min: 0, max: 1, noNaN: true }), (failures, chance) => {
      const wait = waitMs(failures, 0, chance)
      expect(wait).toBeGreaterThanOrEqual(500)
      expect(wait).toBeLessThanOrEqual(WAIT_MS_MAX)
    }),
  )
})

describe('which services a target gets', () => {
  test('those whose name and stack are named, if any are', () => {
    expect(isServiceWanted(ALL_LINES, 'shop_api')).toBe(true)
    expect(isServiceWanted({ ...ALL_LINES, services: ['shop_*'] }, 'shop_api')).toBe(true)
    expect(isServiceWanted({ ...ALL_LINES, services: ['shop_*'] }, 'blog_api')).toBe(false)
    expect(isServiceWanted({ ...ALL_LINES, services: ['*_api'], stacks: ['blog'] }, 'shop_api')).toBe(false)
    expect([stackOf('shop_api_v2'), stackOf('lonely')]).toEqual(['shop', ''])
  })

  test('a pattern means what the regular expression with .* for * means', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'b', '_'), maxLength: 8 })
    const pattern = fc.string({ unit: fc.constantFrom('a', 'b', '_', '*'), maxLength: 8 })
    fc.assert(
      fc.property(pattern, text, (pattern, text) => {
        expect(matches(pattern, text)).toBe(new RegExp(`^${pattern.replaceAll('*', '.*')}$`).test(text))
      }),
      { numRuns: 2_000 },
    )
  })
})
