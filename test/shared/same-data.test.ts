import fc from 'fast-check'
import { expect, test } from 'vitest'
import { sameData } from '../../shared/same-data.ts'
import { canonicalJson } from '../../shared/spec.ts'

test('data are the same when their canonical JSON is', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 3 }), fc.jsonValue({ maxDepth: 3 }), (a, b) => {
      expect(sameData(a, structuredClone(a))).toBe(true)
      expect(sameData(a, b)).toBe(canonicalJson(a) === canonicalJson(b))
    }),
  )
})

test('the order of members does not count, that of items does, and what is undefined is not there', () => {
  expect(sameData({ a: 1, b: { c: 2 } }, { b: { c: 2 }, a: 1 })).toBe(true)
  expect(sameData([1, 2], [2, 1])).toBe(false)
  expect(sameData({ a: 1, b: undefined }, { a: 1 })).toBe(true)
  expect(sameData({ a: 1 }, { a: 1, b: null })).toBe(false)
  expect(sameData([], {})).toBe(false)
})
