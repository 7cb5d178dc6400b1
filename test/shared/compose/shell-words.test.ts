import fc from 'fast-check'
import { expect, it } from 'vitest'
import { shellWords } from '../../../shared/compose/shell-words.ts'

it.each<[string, string[] | undefined]>([
  ['', []],
  ['  a   b\tc\n', ['a', 'b', 'c']],
  [`sh -c 'echo "x y"; exit 1'`, ['sh', '-c', 'echo "x y"; exit 1']],
  [`a "b \\"c\\" \\n d" e`, ['a', 'b "c" \\n d', 'e']],
  ['a\\ b c', ['a b', 'c']],
  [`a'b'"c"d`, ['abcd']],
  [`"" ''`, ['', '']],
  ['$HOME *', ['$HOME', '*']],
  ['a \\\n b', ['a', 'b']],
  [`a 'b`, undefined],
  ['a "b', undefined],
  ['a\\', undefined],
])('%j splits into %j', (line, words) => expect(shellWords(line)).toEqual(words))

it('gives back what was quoted', () => {
  fc.assert(
    fc.property(fc.array(fc.string()), (words) => {
      const line = words.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(' ')
      expect(shellWords(line)).toEqual(words)
    }),
  )
})
