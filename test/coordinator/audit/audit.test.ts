import { expect, test } from 'vitest'
import { type Asked, type AuditQuery, type AuditRecord, openAuditLog } from '../../../coordinator/audit/audit-log.ts'
import { auditDetails } from '../../../coordinator/audit/details.ts'
import { openLmdbStore } from '../../../coordinator/store/lmdb.ts'
import { createMemoryStore } from '../../../coordinator/store/memory.ts'
import { anApiServer } from '../../build/api-server.ts'
import { call } from '../../build/https-call.ts'
import { aStackSpec } from '../../build/spec.ts'
import { temporaryFolder } from '../../build/temporary-folder.ts'

const asked = (given: Partial<Asked> = {}): Asked => ({
  at: 1,
  who: 'operator',
  from: '10.0.0.1',
  method: 'POST',
  path: '/v1/x',
  what: 'x',
  details: {},
  ...given,
})

test('records are numbered without gaps over restarts, and the oldest make room', async () => {
  const store = createMemoryStore()
  for (let life = 0; life < 3; life++) {
    const audit = openAuditLog(store, () => {}, 100)
    for (let count = 0; count < 400; count++) audit.begin(asked())
    await audit.list({ limit: 1 })
  }
  const records = await openAuditLog(store, () => {}, 100).list({ limit: 10_000 })
  const numbers = records.map(({ number }) => number)
  expect(numbers.at(-1)).toBe(1_200)
  expect(numbers.length).toBeGreaterThanOrEqual(100)
  expect(numbers.length).toBeLessThan(600)
  expect(numbers).toEqual(numbers.map((_, index) => numbers[0]! + index))
})

test('what came of it is told with it, also when it comes late; without an answer it is left open', async () => {
  const audit = openAuditLog(createMemoryStore())
  const [first, second] = [audit.begin(asked()), audit.begin(asked())]
  audit.begin(asked())
  audit.end(second!, 409, 'conflict')
  audit.end(first!, 200, null)
  const results = (await audit.list({ limit: 9 })).map(({ number, status, code }) => [number, status, code])
  expect(results).toEqual([
    [1, 200, null],
    [2, 409, 'conflict'],
    [3, null, null],
  ])
})

test('a record goes into the transaction of the change that is asked for next: no change is without one', async () => {
  const dir = await temporaryFolder()
  const store = await openLmdbStore({ dir })
  openAuditLog(store).begin(asked({ what: 'deploys' }))
  await store.transact([{ key: ['service', 'web'], value: 1 }])
  expect([...store.range(['audit'])].map(({ value }) => (value as AuditRecord).what)).toEqual(['deploys'])
  expect(store.revision(['audit', 1])).toBe(store.revision(['service', 'web']) - 1)
  await store.close()
})

test('one that goes with nothing is stored when its store closes', async () => {
  const dir = await temporaryFolder()
  const store = await openLmdbStore({ dir })
  openAuditLog(store).begin(asked({ what: 'is refused' }))
  await store.close()
  const again = await openLmdbStore({ dir })
  expect((await openAuditLog(again).list({ limit: 9 })).map(({ what }) => what)).toEqual(['is refused'])
  await again.close()
})

test('what cannot be stored is told, and its number is given to no other', async () => {
  const store = createMemoryStore()
  const lost: string[] = []
  const audit = openAuditLog(store, ({ what }) => lost.push(what))
  store.setFull(true)
  audit.begin(asked({ what: 'a' }))
  expect(await audit.list({ limit: 9 })).toEqual([])
  store.setFull(false)
  audit.begin(asked({ what: 'b' }))
  expect((await audit.list({ limit: 9 })).map(({ number, what }) => [number, what])).toEqual([[2, 'b']])
  expect(lost).toEqual(['a'])
})

test('the newest are listed without a place to begin, and only those since a time', async () => {
  const audit = openAuditLog(createMemoryStore())
  for (const at of [1, 2, 3, 4]) audit.begin(asked({ at }))
  const times = async (query: AuditQuery) => (await audit.list(query)).map(({ at }) => at)
  expect(await times({ limit: 2 })).toEqual([3, 4])
  expect(await times({ after: 1, limit: 2 })).toEqual([2, 3])
  expect(await times({ since: 3, limit: 9 })).toEqual([3, 4])
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
