import fc from 'fast-check'
import { expect, test } from 'vitest'
import { factsOf, levelsFrom } from '../../coordinator/logs/block-facts.ts'
import { GramSet } from '../../coordinator/logs/gram-filter.ts'
import { LOG_LEVELS, levelOf } from '../../coordinator/logs/log-level.ts'
import { LineJoiner, parseJsonLog } from '../../shared/json-log.ts'

const TIME = '2026-11-26T10:00:00.000000001Z'
const lineOf = (log: string, stream = 'stdout') => `${JSON.stringify({ log, stream, time: TIME })}\n`
const facts = (text: string) => factsOf(Buffer.from(text), new GramSet())

test('lines that end say so by source; a piece may go on', () => {
  expect(facts(lineOf('a\n') + lineOf('b\n', 'stderr'))).toMatchObject({ isWhole: true, ended: 3, begun: 0 })
  expect(facts(lineOf('a\n') + lineOf('> '))).toMatchObject({ isWhole: false, ended: 0, begun: 1 })
  expect(facts(lineOf('> ') + lineOf('a\n'))).toMatchObject({ isWhole: false, ended: 1, begun: 0 })
  expect(facts(lineOf('> ', 'stderr') + lineOf('a\n'))).toMatchObject({ isWhole: false, ended: 1, begun: 2 })
})

test('a backslash and an n are no newline', () => {
  expect(facts(lineOf('c:\\n'))).toMatchObject({ isWhole: false, begun: 1 })
  expect(facts(lineOf('c:\\\n'))).toMatchObject({ isWhole: true, begun: 0 })
})

test('levels are those of the lines', () => {
  const bits = (...names: (typeof LOG_LEVELS)[number][]) =>
    names.reduce((all, name) => all | (1 << LOG_LEVELS.indexOf(name)), 0)
  expect(facts(lineOf('INFO a\n') + lineOf('[warn] b\n')).levels).toBe(bits('info', 'warn'))
  expect(facts(lineOf('{"level":50,"msg":"x"}\n')).levels).toBe(bits('error'))
  expect(facts(lineOf('\u001b[31m ERROR\u001b[0m a\n')).levels).toBe(bits('error'))
  expect(facts(lineOf('\u001b[1;31mERROR\u001b[0m a\n')).levels).toBe(bits('error'))
  expect(facts(lineOf('team error\n')).levels).toBe(bits('error'))
  expect(facts(lineOf('mError [x]merror\n')).levels).toBe(0)
  expect(facts(lineOf('\tfatal\n')).levels).toBe(bits('fatal'))
  expect(levelsFrom('error')).toBe(bits('error', 'fatal'))
})

test('whatever the lines, nothing is left out of what they are', () => {
  const text = fc.oneof(
    fc.stringMatching(/^[a-z "\\{}]{0,12}$/),
    fc.constantFrom('ERROR x', '{"level":"warn"}', '{"severity":30}', '\terror', 'ünfatal', 'ü error', 'x'.repeat(77)),
    fc.string({ unit: 'grapheme', maxLength: 12 }),
  )
  const line = fc.oneof(
    fc
      .tuple(text, text, fc.constantFrom('\n', '\r\n', '', '\\n'), fc.constantFrom('stdout', 'stderr'))
      .map(([a, b, end, stream]) => lineOf(`${a} ${b}${end}`, stream)),
    text.map((text) => `${text.replaceAll('\n', ' ')}\n`),
    text.map((text) => lineOf(`${text}\n`).replace('{"log"', '{"attrs":{},"log"')),
    text.map((text) => lineOf(`${text}\n`).replace(',"time"', ',"log":"other","time"')),
    text.map((text) => lineOf(`${text}\n`).replace('"log":"', '"log":"a"')),
  )
  fc.assert(
    fc.property(fc.array(line, { maxLength: 8 }), fc.boolean(), (lines, isBegun) => {
      const { isWhole, ended, begun, levels } = facts(lines.join(''))
      const joiner = new LineJoiner('t')
      if (isBegun)
        for (const source of ['stdout', 'stderr'] as const) joiner.add({ atMs: 0, source, text: '', endsLine: false })
      const pieces = lines.map((each) => parseJsonLog(each.trimEnd())).filter((piece) => piece !== null)
      const whole = pieces.flatMap((piece) => joiner.add(piece) ?? [])
      const open = new Set(joiner.takeBegun().map(({ source }) => source))
      if (isWhole) expect(pieces.every(({ endsLine }) => endsLine)).toBe(true)
      for (const [index, source] of (['stdout', 'stderr'] as const).entries()) {
        const mayBeOpen = (((isBegun ? 3 : 0) & ~ended) | begun) & (1 << index)
        if (open.has(source)) expect(mayBeOpen).not.toBe(0)
      }
      if (!isWhole || isBegun) return
      for (const { text } of whole) {
        const level = levelOf(text)
        if (level !== null) expect(levels & (1 << LOG_LEVELS.indexOf(level))).not.toBe(0)
      }
    }),
    { numRuns: 3_000 },
  )
})
