import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { linePrinter } from '../../cli/commands/logs.ts'
import { forTerminal } from '../../cli/terminal-text.ts'

const ESC = '\x1b'
const COLOUR = new RegExp(`${ESC}\\[[0-9;:]*m`, 'g')

describe('what others wrote cannot command the terminal', () => {
  test.each([
    ['erases lines', `${ESC}[2J${ESC}[1;1Hall is well`, '␛[2J␛[1;1Hall is well'],
    ['renames the window', `${ESC}]0;root@db\x07`, '␛]0;root@db␇'],
    ['fills the clipboard', `${ESC}]52;c;cm0gLXJmIC8=${ESC}\\`, '␛]52;c;cm0gLXJmIC8=␛\\'],
    ['asks for an answer', `${ESC}[c${ESC}[6n`, '␛[c␛[6n'],
    ['overwrites its line', 'refused\rgranted', 'refused␍granted'],
    ['deletes what it said', 'no\b\byes\x7f', 'no␈␈yes␡'],
    ['uses the eight-bit controls', '\x9b2J\x9d0;x\x9c', '�2J�0;x�'],
    ['reads backwards', 'user\u202eexe.\u2066x\u2069', 'user�exe.�x�'],
  ])('%s', (_what, text, shown) => {
    expect(forTerminal(text, true)).toBe(shown)
  })

  test('whatever it is', () => {
    const text = fc.string({ unit: 'binary', maxLength: 200 })
    const hostile = fc.array(fc.oneof(text, fc.constantFrom(ESC, '[', ']', 'm', '31', ';', '\x9b', '\r', '\n')))
    fc.assert(
      fc.property(hostile, fc.boolean(), (parts, withColours) => {
        const shown = forTerminal(parts.join(''), withColours).replaceAll(COLOUR, withColours ? '' : '!')
        expect([...shown].every((each) => each === '\n' || each === '\t' || !/\p{Cc}/u.test(each))).toBe(true)
      }),
    )
  })
})

test('colours pass where there are colours, and end with the line', () => {
  const text = `${ESC}[1;31mERROR${ESC}[38;5;8m x`
  expect(forTerminal(text, true)).toBe(`${text}${ESC}[0m`)
  expect(forTerminal(text, false)).toBe('ERROR x')
})

test('ordinary text stays as it is, without the returns of lines in the manner of Windows', () => {
  for (const text of ['', 'GET /healthz → 500', 'a\tb', 'több\nsor', '日本語 🚢'])
    expect(forTerminal(text, true)).toBe(text)
  expect(forTerminal('one\r\ntwo\r', true)).toBe('one\ntwo')
})

test('a log line is one line, at a time that there is', () => {
  const lines: string[] = []
  const out = { line: (text: string) => void lines.push(text), paint: (_style: string, text: string) => text }
  const print = linePrinter(out, new Map([['t1', 'shop_web.1']]), true)
  print({ task: 't1', at: 1e308, source: 'stdout', text: 'x\nshop_db.1 | forged' })
  expect(lines).toEqual(['shop_web.1 | +275760-09-13T00:00:00.000Z x␊shop_db.1 | forged'])
})
