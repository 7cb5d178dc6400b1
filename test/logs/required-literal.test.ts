import fc from 'fast-check'
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
  ['zebra(fish|cat)', 'zebra'],
  ['(a[)]|\\)b(c))?def', 'def'],
  ['(?<!x)ab(?!c)', 'ab'],
])('every match of %s holds %s', (source, literal) => {
  expect(requiredLiteral(source)).toBe(literal)
})

test.each(['(abc)?', 'abc|def', '(a)bc|d', '(abc', '\\u0041bcd', '\\p{L}abc', '.*', '"+', '\\d+'])(
  'of %s nothing is known',
  (source) => {
    expect(requiredLiteral(source)).toBeNull()
  },
)

test('whatever the expression, what it finds holds the text', () => {
  const atom = fc.oneof(
    fc.stringMatching(/^[ab:]$/),
    fc.constantFrom('.', '[ab]', '[^a]', '\\d', '(a|b)', '(ab)?', '(?:a[)]|b)', '(?=a)', '(?!b)', '\\.', '^', '$', '|'),
  )
  const repeated = fc
    .tuple(atom, fc.constantFrom('', '', '', '*', '+', '?', '{2}', '{0,1}', '+?'))
    .map((parts) => parts.join(''))
  const expression = fc.array(repeated, { minLength: 1, maxLength: 6 }).map((parts) => parts.join(''))
  fc.assert(
    fc.property(expression, fc.array(fc.stringMatching(/^[ab:.)1]{0,8}$/), { maxLength: 20 }), (source, texts) => {
      let compiled: RegExp
      try {
        compiled = new RegExp(source, 'u')
      } catch {
        return
      }
      const literal = requiredLiteral(source)
      if (literal === null) return
      for (const text of texts) if (compiled.test(text)) expect(text).toContain(literal)
    }),
    { numRuns: 5_000 },
  )
})
