import fc from 'fast-check'
import { expect, test } from 'vitest'
import { wellFormedBrief, wellFormedCut } from '../../shared/text.ts'

const anyText = fc.string({ unit: 'binary' }).chain((text) => fc.constantFrom(text, `${text}\ud83d`, `\ude00${text}😀`))

test('a text that was cut is well-formed and no longer than it may be, whatever it was', () => {
  fc.assert(
    fc.property(anyText, fc.integer({ min: 1, max: 40 }), (text, charsMax) => {
      for (const cut of [wellFormedCut(text, charsMax), wellFormedBrief(text, charsMax)]) {
        expect(cut.isWellFormed()).toBe(true)
        expect(cut.length).toBeLessThanOrEqual(charsMax)
      }
    }),
  )
})

test('what fits stays as it is; what does not ends in …', () => {
  expect([wellFormedCut('grüße 😀', 8), wellFormedBrief('grüße 😀', 8)]).toEqual(['grüße 😀', 'grüße 😀'])
  expect(wellFormedBrief('grüße 😀', 7)).toBe('grüße …')
  expect(wellFormedCut('😀😀', 3)).toBe('😀\ufffd')
})
