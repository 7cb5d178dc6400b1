import { describe, expect, it } from 'vitest'
import { parseEnvFile, parseRawEnvFile } from '../../../shared/compose/dotenv.ts'

const parse = (text: string, around: Record<string, string> = {}) => parseEnvFile(text, (name) => around[name])
const values = (text: string, around: Record<string, string> = {}) => Object.fromEntries(parse(text, around).values)

describe('a .env file', () => {
  it.each<[what: string, text: string, expected: Record<string, string | undefined>]>([
    ['plain pairs', 'A=1\nB = two words \n', { A: '1', B: 'two words' }],
    ['comments and blank lines', '# first\n\nA=1 # behind\nB=#fff\n C=#x', { A: '1', B: '#fff', C: '#x' }],
    ['export', 'export A=1', { A: '1' }],
    ['empty values', 'A=\nB=""\nC= # nothing', { A: '', B: '', C: '' }],
    ['a key alone', 'A', { A: undefined }],
    ['a colon instead of =', 'A: 1', { A: '1' }],
    ['single quotes, kept as they are', `A='$B \\n "x" # y'`, { A: '$B \\n "x" # y' }],
    ['double quotes with escapes', `A="one\\ntwo \\"x\\" \\$B # y" # z`, { A: 'one\ntwo "x" $B # y' }],
    ['quotes over several lines', 'A="one\ntwo"\nB=3', { A: 'one\ntwo', B: '3' }],
    ['Windows line ends', 'A=1\r\nB=2\r\n', { A: '1', B: '2' }],
    ['variables set before', 'A=1\nB=${A}2\nC="$B-${D:-d}"', { A: '1', B: '12', C: '12-d' }],
    ['values with = in them', 'A=b=c', { A: 'b=c' }],
  ])('knows %s', (_what, text, expected) => expect(values(text)).toEqual(expected))

  it('lets the surroundings answer before the file itself', () => {
    expect(values('A=file\nB=$A', { A: 'around' })).toEqual({ A: 'file', B: 'around' })
  })

  it('names the line that makes no sense', () => {
    expect(parse('A=1\nnot a pair\nB=${C:?is needed}').problems).toEqual([
      { line: 2, message: '"not a pair" is not of the form KEY=value' },
      { line: 3, message: 'the variable C is required: is needed' },
    ])
    expect(parse('A="open\n\nB=1').problems).toEqual([
      { line: 1, message: 'the value of A has a quote that is not closed' },
    ])
    expect(parse('A=$NONE').unset).toEqual([{ line: 1, name: 'NONE' }])
  })
})

describe('a raw env file', () => {
  it('keeps everything behind the first =', () => {
    expect(Object.fromEntries(parseRawEnvFile(`# c\nA="$B" # d\nC\nD=e=f`).values)).toEqual({
      A: '"$B" # d',
      C: undefined,
      D: 'e=f',
    })
  })

  it('wants a key', () => {
    expect(parseRawEnvFile('=1').problems).toEqual([{ line: 1, message: 'the line has no key before its =' }])
  })
})
