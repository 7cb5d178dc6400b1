import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { lokiPush } from '../../../coordinator/forwarding/formats/loki.ts'
import { partialSuccess } from '../../../coordinator/forwarding/formats/otlp.ts'
import { otlpLogs } from '../../../coordinator/forwarding/formats/otlp-logs.ts'
import { octetCounted, parameterValue, syslogMessages } from '../../../coordinator/forwarding/formats/syslog.ts'
import { type ForwardLine, nanoseconds, textParts } from '../../../coordinator/forwarding/line.ts'

const AT = Date.parse('2026-11-27T07:00:00.123Z')
const origin = { service: 'shop_api', stack: 'shop', node: 'web-1', task: 't1', container: 'c0ffee0123456789' }
const aLine = (given: Partial<ForwardLine> = {}): ForwardLine => ({
  ...{ origin, at: AT, source: 'stdout', level: null, text: 'hello' },
  ...given,
})

test('nanoseconds are as exact as a line says its time', () => {
  expect(nanoseconds(AT)).toBe('1795762800123000000')
  expect(nanoseconds(AT + 0.25)).toBe('1795762800123250000')
})

describe('parts of a long text', () => {
  test('are the text when put together, and none is longer than it may be', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 200 }), fc.integer({ min: 4, max: 40 }), (text, bytesMax) => {
        const parts = textParts(text.toWellFormed(), bytesMax)
        expect(parts.join('')).toBe(text.toWellFormed())
        for (const part of parts) expect(Buffer.byteLength(part)).toBeLessThanOrEqual(bytesMax)
      }),
    )
  })
})

describe('Loki', () => {
  test('a stream for each service, node, source and level; task and container beside the line', () => {
    const lines = [aLine(), aLine({ level: 'error', text: 'bad' }), aLine({ at: AT + 1, text: 'again' })]
    const metadata = { task: 't1', container: 'c0ffee0123456789' }
    expect(JSON.parse(lokiPush(lines, true))).toEqual({
      streams: [
        {
          stream: { service: 'shop_api', stack: 'shop', node: 'web-1', stream: 'stdout' },
          values: [
            ['1795762800123000000', 'hello', metadata],
            ['1795762800124000000', 'again', metadata],
          ],
        },
        {
          stream: { service: 'shop_api', stack: 'shop', node: 'web-1', stream: 'stdout', level: 'error' },
          values: [['1795762800123000000', 'bad', metadata]],
        },
      ],
    })
  })

  test('times of a stream only grow, and equal ones are a nanosecond apart', () => {
    const lines = [aLine(), aLine({ text: 'same' }), aLine({ text: 'same' }), aLine({ at: AT - 5, text: 'before' })]
    const [stream] = (JSON.parse(lokiPush(lines, false)) as { streams: { values: string[][] }[] }).streams
    expect(stream!.values).toEqual([
      ['1795762800118000000', 'before'],
      ['1795762800123000000', 'hello'],
      ['1795762800123000001', 'same'],
      ['1795762800123000002', 'same'],
    ])
  })

  test('a line longer than Loki takes goes in pieces', () => {
    const text = 'x'.repeat(300_000)
    const [stream] = (JSON.parse(lokiPush([aLine({ text })], false)) as { streams: { values: string[][] }[] }).streams
    expect(stream!.values.map(([, part]) => part!.length)).toEqual([262_144, 37_856])
  })
})

describe('OTLP', () => {
  test('a resource for each container, by the names of the semantic conventions, and its lines in order', () => {
    const lines = [aLine({ level: 'warn' }), aLine({ source: 'stderr', text: 'half \ud800' })]
    const text = (key: string, stringValue: string) => ({ key, value: { stringValue } })
    expect(JSON.parse(otlpLogs(lines, AT + 1_000))).toEqual({
      resourceLogs: [
        {
          resource: {
            attributes: [
              text('service.name', 'api'),
              text('service.namespace', 'shop'),
              text('service.instance.id', 't1'),
              text('host.name', 'web-1'),
              text('container.id', 'c0ffee0123456789'),
            ],
          },
          scopeLogs: [
            {
              scope: { name: 'berth' },
              logRecords: [
                {
                  ...{ timeUnixNano: '1795762800123000000', observedTimeUnixNano: '1795762801123000000' },
                  ...{ severityNumber: 13, severityText: 'warn', body: { stringValue: 'hello' } },
                  attributes: [text('log.iostream', 'stdout')],
                },
                {
                  ...{ timeUnixNano: '1795762800123000000', observedTimeUnixNano: '1795762801123000000' },
                  body: { stringValue: 'half �' },
                  attributes: [text('log.iostream', 'stderr')],
                },
              ],
            },
          ],
        },
      ],
    })
  })

  test('what a good answer says was not taken is read, as digits or as a number', () => {
    expect(partialSuccess('{"partialSuccess":{"rejectedLogRecords":"5","errorMessage":"too old"}}')).toEqual({
      ...{ rejected: 5, why: 'too old' },
    })
    expect(partialSuccess('{"partialSuccess":{"rejectedDataPoints":2}}')).toEqual({ rejected: 2, why: '' })
    for (const text of [
      '',
      '{}',
      'null',
      'gone',
      '{"partialSuccess":{"rejectedLogRecords":"0"}}',
      '{"partialSuccess":null}',
    ])
      expect(partialSuccess(text)).toBeNull()
  })
})

/** RFC 5424, read strictly; what it gives is what was meant. */
function readSyslog(message: string) {
  const match =
    /^<(\d{1,3})>1 (\S+) ([!-~]{1,255}) ([!-~]{1,48}) ([!-~]{1,128}) ([!-~]{1,32}) (\[berth@32473(?: [a-z]+="(?:[^"\\\]]|\\["\\\]])*")*\]) (.*)$/su.exec(
      message,
    )
  if (match === null) throw new Error(`this is no message: ${message}`)
  const [, priority, time, host, app, process, id, data, text] = match
  const parameters = [...data!.matchAll(/ ([a-z]+)="((?:[^"\\\]]|\\["\\\]])*)"/gu)]
  const values = parameters.map(([, name, value]) => [name, value!.replaceAll(/\\(["\\\]])/g, '$1')])
  return { priority: Number(priority), time, host, app, process, id, values: Object.fromEntries(values), text }
}

describe('syslog', () => {
  test('a message by example', () => {
    expect(syslogMessages(aLine({ level: 'error', at: AT + 0.25 }), 'local0', 2_048)).toEqual([
      '<131>1 2026-11-27T07:00:00.123250Z web-1 shop_api c0ffee012345 stdout [berth@32473 service="shop_api" stack="shop" task="t1" level="error"] hello',
    ])
  })

  test('PRI is facility and severity; a line that does not say its level is info, or error on stderr', () => {
    const levels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const
    const priorities = levels.map((level) => readSyslog(syslogMessages(aLine({ level }), 'kern', 999)[0]!).priority)
    expect(priorities).toEqual([7, 7, 6, 4, 3, 2])
    const unsaid = (['stdout', 'stderr'] as const).map((source) => syslogMessages(aLine({ source }), 'daemon', 999)[0]!)
    expect(unsaid.map((message) => readSyslog(message).priority)).toEqual([3 * 8 + 6, 3 * 8 + 3])
  })

  test('what there is nothing of is -, and what headers may not hold is ?', () => {
    const bare = { service: 'ü b', stack: '', node: '', task: '', container: '' }
    expect(String(syslogMessages(aLine({ origin: bare }), 'user', 999)[0])).toBe(
      '<14>1 2026-11-27T07:00:00.123000Z - ??b - stdout [berth@32473 service="ü b"] hello',
    )
  })

  test('values are escaped so that a reader gets them back, whatever they hold', () => {
    expect(parameterValue('a"b\\c]d[e')).toBe('a\\"b\\\\c\\]d[e')
    const text = fc.string({ unit: 'grapheme', maxLength: 60 })
    fc.assert(
      fc.property(text, text, fc.string({ maxLength: 300 }), (service, task, said) => {
        const line = aLine({ origin: { ...origin, service: `s${service}`, task: `t${task}` }, text: said })
        const [message] = syslogMessages(line, 'local7', 65_536)
        const read = readSyslog(message!)
        expect(read.values).toMatchObject({ service: `s${service}`, task: `t${task}`, stack: 'shop' })
        expect(read.text).toBe(said)
      }),
    )
  })

  test('a long line goes in messages of at most so many bytes that say which part they are', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 2_000 }), (text) => {
        const messages = syslogMessages(aLine({ text }), 'daemon', 480)
        for (const message of messages) expect(Buffer.byteLength(message)).toBeLessThanOrEqual(480)
        const read = messages.map(readSyslog)
        expect(read.map((each) => each.text).join('')).toBe(text)
        if (read.length > 1) {
          const places = read.map(({ values }) => `${values.part} of ${values.parts}`)
          expect(places).toEqual(read.map((_, index) => `${index + 1} of ${read.length}`))
        }
      }),
    )
  })

  test('on a stream each message stands behind its length in bytes', () => {
    expect(String(octetCounted(['añb', 'c\nd']))).toBe('4 añb3 c\nd')
  })
})
