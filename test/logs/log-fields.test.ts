import { expect, test } from 'vitest'
import type { LogBatch, LogReader } from '../../coordinator/core.ts'
import { LineSieve } from '../../coordinator/logs/line-filter.ts'
import { fieldsOf, meetsField } from '../../coordinator/logs/log-fields.ts'
import { sieving } from '../../coordinator/logs/sieving.ts'
import { parseFieldTest } from '../../shared/log-field.ts'

const LINE =
  '{"level":"warn","status":503,"took":"12.5","user":{"id":42,"tags":["new","paid"]},"log.origin":"api","ok":false}'

function meets(test: string, line = LINE): boolean {
  const read = parseFieldTest(test)
  if (!read.ok) throw new Error(read.why)
  const fields = fieldsOf(line)
  return fields !== null && meetsField(fields, read.test)
}

test.each([
  'status=503',
  'status == 503',
  'status>=500',
  'status<504',
  'took > 12',
  'user.id=42',
  'user.tags=paid',
  'log.origin=api',
  'ok=false',
  'user',
  'status!=200',
  'nothing!=x',
])('%s is met', (test) => expect(meets(test)).toBe(true))

test.each([
  'status=500',
  'status>503',
  'level>3',
  'user.name=x',
  'user=42',
  'user.tags!=paid',
  'nothing',
  'nothing=',
  'ok=true',
])('%s is not met', (test) => expect(meets(test)).toBe(false))

test('a line that is no JSON object has no fields, whatever is asked of them', () => {
  for (const line of ['status=503', '[503]', '{"status":503', '503', '']) {
    expect(meets('status=503', line)).toBe(false)
    expect(meets('status!=200', line)).toBe(false)
  }
})

test('what asks nothing of a field is told with how to write it', () => {
  expect(parseFieldTest('')).toEqual({ ok: false, why: expect.stringContaining('write it like status>=500') })
  expect(parseFieldTest('=5')).toMatchObject({ ok: false })
  expect(parseFieldTest('status>=high')).toEqual({
    ok: false,
    why: '"status>=high" compares numbers, and "high" is none; write it like status>=500',
  })
  expect(parseFieldTest('a.b.c.d.e.f.g.h.i')).toMatchObject({ ok: false })
})

const lines = [LINE, 'plain', '{"level":"error","status":500}', '{"level":"info","status":503}'].map((text, index) => ({
  task: 't',
  at: index,
  source: 'stdout' as const,
  text,
}))

test('all that is asked of fields must be met, together with the level', () => {
  const status = { path: 'status', operator: '=', value: '503' } as const
  const user = { path: 'user.id', operator: 'exists', value: '' } as const
  const sieved = (filter: ConstructorParameters<typeof LineSieve>[0]) =>
    new LineSieve(filter).sieve(lines, null).map(({ at }) => at)
  expect(sieved({ fields: [status] })).toEqual([0, 3])
  expect(sieved({ fields: [status, user] })).toEqual([0])
  expect(sieved({ fields: [status], level: 'warn' })).toEqual([0])
  expect(sieved({ fields: [status], context: 1 })).toEqual([0, 1, 2, 3])
})

test('lines that come straight from agents are filtered, too', async () => {
  const batch = (some: LogBatch['lines']): LogBatch => ({ lines: some, dropped: 0, missingNodes: [] })
  const agents: LogReader = {
    async *read() {
      yield batch(lines.slice(0, 2))
      yield { ...batch([]), dropped: 3 }
      yield batch(lines.slice(2))
    },
  }
  const read = async (filter: object) => {
    const query = { tasks: [], follow: false, signal: new AbortController().signal, ...filter }
    const batches: LogBatch[] = []
    for await (const each of sieving(agents).read(query)) batches.push(each)
    expect(batches.map(({ dropped }) => dropped)).toEqual([0, 3, 0])
    return batches.flatMap((each) => each.lines.map(({ at }) => at))
  }
  expect(await read({})).toEqual([0, 1, 2, 3])
  expect(await read({ grep: '50[0-9]' })).toEqual([0, 2, 3])
  expect(await read({ level: 'error' })).toEqual([2])
  expect(await read({ until: 1 })).toEqual([0, 1])
})
