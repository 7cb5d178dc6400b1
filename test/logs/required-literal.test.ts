import { expect, test } from 'vitest'
import { requiredLiteral } from '../../coordinator/logs/required-literal.ts'

test.each([
  ['timeout after [0-9]+ ms', 'timeout after '],
  ['^status=50\\d$', 'status=50'],
  ['10\\.0\\.0\\.7.*refused', '10.0.0.7'],
  ['colou?r', 'colo'],
  ['ab+c', 'ab'],
  ['xa{0,3}bc', 'bc'],
  ['a*?bcd', 'bcd'],
  ['[\\]abcdef]xy', 'xy'],
])('every match of %s holds %s', (source, literal) => {
  expect(requiredLiteral(source)).toBe(literal)
})

test.each(['(abc)?', 'abc|def', '\\u0041bcd', '\\p{L}abc', '.*', '"+', '\\d+'])('of %s nothing is known', (source) => {
  expect(requiredLiteral(source)).toBeNull()
})
