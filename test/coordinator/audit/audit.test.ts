import { expect, test } from 'vitest'
import { type NewAuditRecord, openAuditLog } from '../../../coordinator/audit/audit-log.ts'
import { auditDetails } from '../../../coordinator/audit/details.ts'
import { createMemoryStore } from '../../../coordinator/store/memory.ts'
import { anApiServer } from '../../build/api-server.ts'
import { call } from '../../build/https-call.ts'
import { aStackSpec } from '../../build/spec.ts'

const aRecord = (given: Partial<NewAuditRecord> = {}): NewAuditRecord => ({
  at: 1,
  who: 'operator',
  from: '10.0.0.1',
  method: 'POST',
  path: '/v1/x',
  what: 'x',
  details: {},
  status: 200,
  code: null,
  ...given,
})

test('records are numbered without gaps over restarts, and the oldest make room', async () => {
  const store = createMemoryStore()
  for (let life = 0; life < 3; life++) {
    const audit = openAuditLog(store, 100)
    await Promise.all(Array.from({ length: 400 }, () => audit.add(aRecord())))
  }
  const numbers = openAuditLog(store, 100)
    .list({ limit: 10_000 })
    .map(({ number }) => number)
  expect(numbers.at(-1)).toBe(1_200)
  expect(numbers.length).toBeGreaterThanOrEqual(100)
  expect(numbers.length).toBeLessThan(600)
  expect(numbers).toEqual(numbers.map((_, index) => numbers[0]! + index))
})

test('a record that could not be stored takes the number of no other', async () => {
  const store = createMemoryStore()
  const [first, beforeSecond] = [Promise.withResolvers<never>(), Promise.withResolvers<void>()]
  const gates: Promise<unknown>[] = [first.promise, beforeSecond.promise]
  const slow: Pick<typeof store, 'range' | 'transact'> = {
    range: store.range.bind(store),
    async transact(writes) {
      await gates.shift()
      return store.transact(writes)
    },
  }
  const audit = openAuditLog(slow)
  const [refused, second] = ['a', 'b'].map((what) => audit.add(aRecord({ what })))
  first.reject(new Error('no room'))
  await expect(refused).rejects.toThrow('no room')
  await audit.add(aRecord({ what: 'c' }))
  beforeSecond.resolve()
  await second
  await audit.add(aRecord({ what: 'd' }))
  expect(audit.list({ limit: 9 }).map(({ what }) => what)).toEqual(['b', 'c', 'd'])
})

test('the newest are listed without a place to begin, and only those since a time', async () => {
  const audit = openAuditLog(createMemoryStore())
  for (const at of [1, 2, 3, 4]) await audit.add(aRecord({ at }))
  const times = (query: Parameters<typeof audit.list>[0]) => audit.list(query).map(({ at }) => at)
  expect(times({ limit: 2 })).toEqual([3, 4])
  expect(times({ after: 1, limit: 2 })).toEqual([2, 3])
  expect(times({ since: 3, limit: 9 })).toEqual([3, 4])
})

test('details hold figures and words from lists, and nothing that a user could have written a secret into', () => {
  const body = { replicas: 3, rotate: 'join', password: 'hunter2', nested: { token: 'hunter2' }, list: ['hunter2'] }
  expect(auditDetails({ prune: true }, body, null, undefined, 'hunter2')).toEqual({
    prune: true,
    replicas: 3,
    rotate: 'join',
  })
})

test('each change is told with who asked, from where and what came of it; questions and wrong tokens are not', async () => {
  const server = await anApiServer()
  const spec = aStackSpec('shop', { api: { replicas: 1 } })
  await call(server, { method: 'PUT', path: '/v1/stacks/shop', body: spec })
  await call(server, { method: 'POST', path: '/v1/services/shop_api/scale', body: { replicas: 2 } })
  await call(server, { method: 'POST', path: '/v1/services/shop_none/scale', body: { replicas: 2 } })
  await call(server, { method: 'POST', path: '/v1/what-if', body: { lose: ['n1'] } })
  await call({ ...server, token: 'wrong' }, { method: 'DELETE', path: '/v1/stacks/shop' })
  const { json } = await call(server, { path: '/v1/audit' })
  const told = (json.items as Record<string, unknown>[]).map((each) => [
    each.number,
    each.who,
    each.from,
    `${each.method} ${each.path}`,
    (each.details as { replicas?: number }).replicas,
    each.code,
  ])
  expect(told).toEqual([
    [1, 'operator', '127.0.0.1', 'PUT /v1/stacks/shop', undefined, null],
    [2, 'operator', '127.0.0.1', 'POST /v1/services/shop_api/scale', 2, null],
    [3, 'operator', '127.0.0.1', 'POST /v1/services/shop_none/scale', 2, 'service-not-found'],
  ])
})

test('a rotated token is not in what the audit log says of it', async () => {
  const server = await anApiServer()
  const { json } = await call(server, { method: 'POST', path: '/v1/tokens', body: { rotate: 'join' } })
  const { text } = await call(server, { path: '/v1/audit' })
  expect(text).toContain('"rotate":"join"')
  expect(text).not.toContain(String(json.token))
})
