import fc from 'fast-check'
import { expect, test } from 'vitest'
import { GramSet, gramsOf, mayHold } from '../../coordinator/logs/gram-filter.ts'

function filterOf(lines: string[]): Uint8Array {
  const set = new GramSet()
  let bytes = 0
  for (const line of lines) {
    const text = Buffer.from(line)
    set.add(text, 0, text.length)
    // With what the Engine writes around each.
    bytes += text.length + 70
  }
  return set.takeFilter(bytes)
}

test('a filter may hold every text that is somewhere in its lines', () => {
  const line = fc.oneof(
    fc.stringMatching(/^[0-9a-f]{0,40}$/),
    fc.stringMatching(/^[a-c0-9 =]{0,60}$/),
    fc.string({ unit: 'grapheme', maxLength: 40 }),
  )
  const cut = fc.tuple(fc.nat(), fc.nat(), fc.nat())
  fc.assert(
    fc.property(fc.array(line, { minLength: 1, maxLength: 50 }), cut, (lines, [of, from, chars]) => {
      const all = [...lines[of % lines.length]!]
      const start = from % (all.length + 1)
      const text = all.slice(start, start + (chars % (all.length + 1))).join('')
      expect(mayHold(filterOf(lines), gramsOf([[text]]))).toBe(true)
    }),
    { numRuns: 1_000 },
  )
})

test('of texts that are not there it holds few, and its length is no more than a part of the lines', () => {
  let seed = 1
  const word = () => {
    seed = Math.imul(seed, 1_664_525) + 1_013_904_223
    return (seed >>> 0).toString(16).padStart(8, '0')
  }
  const lines = Array.from(
    { length: 4_000 },
    () => `INFO GET /api/orders 200 request=${word()}${word()} user=${word()}`,
  )
  const filter = filterOf(lines)
  expect(filter.length).toBeLessThanOrEqual((lines.join('').length + 70 * lines.length) / 24)
  const alarms = (texts: string[]) => texts.filter((text) => mayHold(filter, gramsOf([[text]]))).length / texts.length
  expect(alarms(Array.from({ length: 1_000 }, () => word() + word()))).toBeLessThan(0.01)
  expect(alarms(['zebrafish', 'OOMKilled', 'connection reset by peer', 'panic: runtime error'])).toBe(0)
  expect(alarms(['request=', 'api/ord', 'GET'])).toBe(1)
})

test('what is too short to have a gram may be anywhere', () => {
  expect(gramsOf([['abc'], ['12345'], ['panic', 'abc']])).toEqual([])
  expect(mayHold(filterOf(['xyz']), gramsOf([['abc']]))).toBe(true)
})

test('of texts of which a line holds one, one is enough', () => {
  const filter = filterOf(['here is zebrafish'])
  expect(mayHold(filter, gramsOf([['zebracat', 'zebrafish']]))).toBe(true)
  expect(mayHold(filter, gramsOf([['zebracat', 'zebradog']]))).toBe(false)
  expect(mayHold(filter, gramsOf([['zebracat', 'zebrafish'], ['OOMKilled']]))).toBe(false)
})

test('few lines have a short filter', () => {
  expect(filterOf(['started']).length).toBe(64)
})
