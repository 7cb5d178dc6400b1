import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { scanLines } from '../../../agent/host/scan-lines.ts'

const START_MS = Date.parse('2026-11-26T10:00:00Z')
const NOW = 7

/** As Go writes times: without the zeros at the end of the fraction. */
function timeOf(ms: number, nanos: number): string {
  const fraction = `${String(ms % 1_000).padStart(3, '0')}${String(nanos).padStart(6, '0')}`.replace(/0+$/, '')
  return `${new Date(ms).toISOString().slice(0, 19)}${fraction === '' ? '' : `.${fraction}`}Z`
}

test('the head of a block has the number of its lines, the longest, and their earliest and latest second, whatever the lines say', () => {
  const line = fc.record({
    text: fc.oneof(fc.string(), fc.constant('"time":"2020-01-01T00:00:00Z"}'), fc.constant('":"')),
    stepMs: fc.integer({ min: -5_000, max: 90_000 }),
    nanos: fc.integer({ min: 0, max: 999_999 }),
    zeros: fc.boolean(),
  })
  fc.assert(
    fc.property(fc.array(line, { minLength: 1, maxLength: 50 }), (given) => {
      let ms = START_MS
      const times: number[] = []
      const lines = given.map(({ text, stepMs, nanos, zeros }) => {
        ms += stepMs
        if (zeros) ms -= ms % 1_000
        times.push(ms)
        return `${JSON.stringify({ log: `${text}\n`, stream: 'stdout', time: timeOf(ms, zeros ? 0 : nanos) })}\n`
      })
      const found = scanLines(Buffer.from(lines.join('')), NOW)
      expect(found.lines).toBe(lines.length)
      expect(found.longest).toBe(Math.max(...lines.map((each) => Buffer.byteLength(each) - 1)))
      const second = (value: number) => Math.floor(value / 1_000)
      expect(second(found.from)).toBe(second(Math.min(...times)))
      expect(second(found.to)).toBe(second(Math.max(...times)))
    }),
  )
})

test('what has no times is of now', () => {
  expect(scanLines(Buffer.from('no line of a log\n\n'), NOW)).toEqual({ lines: 2, longest: 16, from: NOW, to: NOW })
})
