import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseJsonLog } from '../../shared/json-log.ts'
import { parseLogTime } from '../../shared/log-time.ts'

/** As it is said in JSON and by Date. */
function plainly(line: string) {
  try {
    const { log, stream, time } = JSON.parse(line) as { log: unknown; stream: unknown; time: unknown }
    if (typeof log !== 'string' || typeof time !== 'string') return null
    const ms = timeOf(time)
    if (!(ms >= 0)) return null
    const endsLine = log.endsWith('\n')
    const source = stream === 'stderr' ? 'stderr' : 'stdout'
    return { atMs: ms, source, text: endsLine ? log.slice(0, -1) : log, endsLine }
  } catch {
    return null
  }
}

function timeOf(text: string): number {
  const finer = text[19] === '.' ? (/^\d+/.exec(text.slice(23))?.[0] ?? '') : ''
  return Date.parse(text) + Math.floor(Number(`0.${finer || 0}`) * 4096) / 4096
}

const time = fc
  .tuple(fc.integer({ min: 0, max: 4e12 }), fc.stringMatching(/^\d{0,9}$/), fc.constantFrom('Z', 'Z', '+01:00', ''))
  .map(([ms, digits, zone]) => {
    return `${new Date(ms).toISOString().slice(0, 19)}${digits === '' ? '' : `.${digits}`}${zone}`
  })
const oddTime = fc.constantFrom(
  '2026-11-27T24:00:00.5Z',
  '2026-11-27T24:00:00Z',
  '2026-02-30T10:00:00.1Z',
  '2026-13-01T00:00:00.1Z',
  '2026-11-27t10:00:00.123456Z',
  '',
  '2026-11-27T10:00:60.1Z',
  '2026-11-27T10:00:00.12a4Z',
  '2026-11-27T10:00:00.Z',
)

test('a time is what Date says, and finer', () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(time, oddTime), { maxLength: 5 }), (texts) => {
      for (const text of texts) expect(parseLogTime(text)).toBe(timeOf(text))
    }),
    { numRuns: 5_000 },
  )
})

test('a line of a log is what JSON says', () => {
  const text = fc.oneof(fc.stringMatching(/^[a-z "\\{}<é]{0,10}$/), fc.string({ unit: 'binary', maxLength: 5 }))
  const line = fc
    .tuple(
      text,
      fc.constantFrom('\n', '\r\n', '', '\n\n', '\\n'),
      fc.constantFrom('stdout', 'stderr', 'x'),
      fc.oneof(time, oddTime),
    )
    .map(([text, end, stream, time]) => JSON.stringify({ log: text + end, stream, time }))
  const harmed = fc
    .tuple(line, fc.nat(), fc.constantFrom('"', '\\', 'n', ',"log":"a"', '}'))
    .map(([line, at, what]) => {
      const place = at % (line.length + 1)
      return line.slice(0, place) + what + line.slice(place)
    })
  fc.assert(
    fc.property(fc.oneof(line, harmed), (line) => {
      expect(parseJsonLog(line)).toEqual(plainly(line))
    }),
    { numRuns: 20_000 },
  )
})
