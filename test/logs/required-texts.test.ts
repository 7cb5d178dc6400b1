import fc from 'fast-check'
import { expect, test } from 'vitest'
import { requiredTexts } from '../../coordinator/logs/required-texts.ts'

test.each([
  ['timeout after [0-9]+ ms', [['timeout after '], [' ms']]],
  ['^status=50\\d$', [['status=50']]],
  ['10\\.0\\.0\\.7.*refused', [['10.0.0.7'], ['refused']]],
  ['colou?r', [['colour', 'color']]],
  ['ab+c', [['ab'], ['bc']]],
  ['ab{2,5}c', [['ab'], ['bc']]],
  ['xa{0,3}bc', [['x'], ['bc']]],
  ['a*?bcd', [['bcd']]],
  ['[\\]abcdef]xy', [['xy']]],
  ['[Tt]imeout', [['Timeout', 'timeout']]],
  ['a[^b]c[d-f]g', [['a'], ['c'], ['g']]],
  ['user "bob" <gone>', [['user '], ['bob'], [' '], ['gone']]],
  ['\\u0041bcd\\p{L}efg', [['bcd'], ['efg']]],
])('every match of %s holds one of each of %j', (source, texts) => {
  expect(requiredTexts(source)).toEqual(texts)
})

test.each([
  ['zebra(fish|cat)', [['zebrafish', 'zebracat']]],
  ['foo(bar|baz)qux', [['foobarqux', 'foobazqux']]],
  ['foo(bar.*|.+baz|qux)end', [['foo'], ['bar', 'baz', 'qux'], ['end']]],
  ['foo(bar.*|.)end', [['foo'], ['end']]],
  ['zebra(fish|cat)s?', [['zebrafishs', 'zebrafish', 'zebracats', 'zebracat']]],
  ['(GET|PUT|(PO|A)ST) /', [['GET /', 'PUT /', 'POST /', 'AST /']]],
  ['error|panic', [['error', 'panic']]],
  ['(?<verb>error)\\k<verb>:', [['error'], [':']]],
  ['(error)\\1:', [['error'], [':']]],
  ['(?:ab)+c', [['ab'], ['abc']]],
  ['(ab)*cd', [['cd']]],
  [
    '(a|b|c|d)(e|f|g|h)(i|j)kl',
    [
      ['ae', 'af', 'ag', 'ah', 'be', 'bf', 'bg', 'bh', 'ce', 'cf', 'cg', 'ch', 'de', 'df', 'dg', 'dh'],
      ['ikl', 'jkl'],
    ],
  ],
  ['(a[)]|\\)b(c))?def', [['def']]],
  ['(?<!x)ab(?!c)d\\be$', [['abde']]],
  ['(?i:error) 500=(?-i:x)', [[' 500=x']]],
  ['(?i:error=(?-i:gone)) off', [['=gone'], [' off']]],
  ['(?s-m:a.b)c', [['a'], ['b'], ['c']]],
])('what is in groups counts: every match of %s holds one of each of %j', (source, texts) => {
  expect(requiredTexts(source)).toEqual(texts)
})

test.each(['(abc)?', 'abc|d*', '(a)bc|', '(abc', '.*', '"+', '\\d+', '(?i:abc)', '(?=abc)', 'a{0}', '[]', ''])(
  'of %s nothing is known',
  (source) => {
    expect(requiredTexts(source)).toEqual([])
  },
)

test('of a long expression no more is followed than is bounded', () => {
  expect(requiredTexts('(a|b|c|d)'.repeat(100)).flat().length).toBeLessThanOrEqual(16 * 32)
  expect(requiredTexts(Array.from({ length: 200 }, (_, at) => `word${at}`).join('|'))).toEqual([])
  expect(requiredTexts(`${'('.repeat(490)}deep${')'.repeat(490)}`)).toEqual([['deep']])
})

test('whatever the expression, what it finds holds the texts', () => {
  const { expression } = fc.letrec<{ expression: string; atom: string }>((tie) => {
    const atom = fc.oneof(
      { weight: 4, arbitrary: fc.stringMatching(/^[aAb:1]$/) },
      {
        weight: 3,
        arbitrary: fc.constantFrom('.', '[ab]', '[^a]', '[)a]', '\\d', '\\.', '^', '$', '\\b', '|', '\\u0061', '\\1'),
      },
      {
        weight: 3,
        arbitrary: fc
          .tuple(fc.constantFrom('(', '(?:', '(?i:', '(?-i:', '(?=', '(?!', '(?<=', '(?<!'), tie('expression'))
          .map(([open, within]) => `${open}${within})`),
      },
    )
    const repeated = fc
      .tuple(atom, fc.constantFrom('', '', '', '', '*', '+', '?', '{2}', '{0,1}', '{0}', '{1,}', '+?', '??'))
      .map((parts) => parts.join(''))
    return { atom, expression: fc.array(repeated, { minLength: 1, maxLength: 5 }).map((parts) => parts.join('')) }
  })
  fc.assert(
    fc.property(expression, fc.array(fc.stringMatching(/^[aAbB:.)1]{0,10}$/), { maxLength: 20 }), (source, texts) => {
      let compiled: RegExp
      try {
        compiled = new RegExp(source, 'u')
      } catch {
        return
      }
      const required = requiredTexts(source)
      for (const text of texts.filter((text) => compiled.test(text)))
        for (const each of required) expect(each.some((one) => text.includes(one))).toBe(true)
    }),
    { numRuns: 5_000 },
  )
})
