import fc from 'fast-check'
import { expect, test } from 'vitest'
import { requiredTexts } from '../../coordinator/logs/required-texts.ts'

test.each([
  ['timeout after [0-9]+ ms', ['timeout after ', ' ms']],
  ['^status=50\\d$', ['status=50']],
  ['10\\.0\\.0\\.7.*refused', ['10.0.0.7', 'refused']],
  ['colou?r', ['colo', 'r']],
  ['ab+c', ['ab', 'c']],
  ['xa{0,3}bc', ['x', 'bc']],
  ['a*?bcd', ['bcd']],
  ['[\\]abcdef]xy', ['xy']],
  ['zebra(fish|cat)', ['zebra']],
  ['(a[)]|\\)b(c))?def', ['def']],
  ['(?<!x)ab(?!c)', ['ab']],
  ['user "bob" <gone>', ['user ', 'bob', ' ', 'gone']],
])('every match of %s holds %s', (source, texts) => {
  expect(requiredTexts(source)).toEqual(texts)
})

test.each(['(abc)?', 'abc|def', '(a)bc|d', '(abc', '\\u0041bcd', '\\p{L}abc', '.*', '"+', '\\d+', '(?i:abc)'])(
  'of %s nothing is known',
  (source) => {
    expect(requiredTexts(source)).toEqual([])
  },
)

test('whatever the expression, what it finds holds the texts', () => {
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
      const required = requiredTexts(source)
      for (const text of texts.filter((text) => compiled.test(text)))
        for (const each of required) expect(text).toContain(each)
    }),
    { numRuns: 5_000 },
  )
})
