import fc from 'fast-check'
import { expect, test } from 'vitest'
import { isoTime } from '../../../coordinator/api/words.ts'

test('times are written as Date writes them, whatever was written before', () => {
  const instant = fc.oneof(
    fc.integer({ min: -8.64e15, max: 8.64e15 }),
    fc.integer({ min: 1795435200000, max: 1795435203000 }),
    fc.double({ min: -5000, max: 5000, noNaN: true }),
  )
  fc.assert(
    fc.property(fc.array(instant, { minLength: 1 }), (instants) => {
      for (const at of instants) expect(isoTime(at)).toBe(new Date(at).toISOString())
    }),
  )
})

test('a time that is none is refused', () => {
  expect(() => isoTime(Number.NaN)).toThrow(RangeError)
  expect(() => isoTime(8.64e15 + 1000)).toThrow(RangeError)
})
