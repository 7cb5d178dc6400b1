import { join } from 'node:path'
import { Check } from 'typebox/value'
import { expect, onTestFinished, test } from 'vitest'
import { openForwardingFiles } from '../../../coordinator/forwarding/files.ts'
import { openForwarding } from '../../../coordinator/forwarding/forwarding.ts'
import { Totals } from '../../../coordinator/metrics/totals.ts'
import { ForwardingDocument } from '../../../shared/api.ts'
import { systemClock } from '../../../shared/clock.ts'
import { ALL_LINES, type ForwardTarget } from '../../../shared/forwarding/config.ts'
import { anApiServer } from '../../build/api-server.ts'
import { call } from '../../build/https-call.ts'
import { aKeptLog } from '../../build/kept-log.ts'
import { anHttpTarget, lokiTexts } from '../../build/targets.ts'
import { until } from '../../build/until.ts'
import { aWorld } from '../../build/world.ts'

const log = { info() {}, warn() {}, error() {}, debug() {} } as never

async function aServer() {
  const kept = await aKeptLog()
  const forwarding = await openForwarding({
    files: await openForwardingFiles(join(kept.dir, '../forwarding')),
    store: kept.store,
    picture: () => ({ world: aWorld(), totals: new Totals(), startedAt: 0, now: 0 }),
    tell: () => {},
    clock: systemClock,
    log,
  })
  const stop = new AbortController()
  const running = forwarding.run(stop.signal)
  onTestFinished(() => {
    stop.abort()
    return running
  })
  const server = await anApiServer([], { forwarding })
  const put = (...targets: Partial<ForwardTarget>[]) =>
    call(server, { method: 'PUT', path: '/v1/forwarding', body: { targets } })
  const get = async () => (await call(server, { path: '/v1/forwarding' })).json as ForwardingDocument
  return { kept, put, get, test: () => call(server, { method: 'POST', path: '/v1/forwarding/test' }) }
}

const target = (given: Partial<ForwardTarget>): Partial<ForwardTarget> => ({
  ...{ name: 'one', kind: 'loki', begin: 'oldest', logs: ALL_LINES, metrics: null },
  ...given,
})

test('targets that are set get what is kept; how far each is is shown without its secrets', async () => {
  const [{ kept, put, get, test }, loki] = [await aServer(), await anHttpTarget()]
  await kept.write('shop_api', ['a', 'b'])
  expect(await put(target({ url: `http://127.0.0.1:${loki.port}/s3cret`, token: 's3cret' }))).toMatchObject({
    status: 200,
    json: { targets: 1 },
  })
  await until(() => lokiTexts(loki.posted).length >= 2)
  expect((await test()).json).toEqual({ items: [{ target: 'one', error: null }] })
  const document = await get()
  expect(Check(ForwardingDocument, document)).toBe(true)
  expect(document.targets[0]).toMatchObject({ name: 'one', logs: { state: 'ok', refused: 0 }, metrics: null })
  expect(JSON.stringify(document)).not.toContain('s3cret')
})

test('what a program may not set is refused with the field, and nothing is changed', async () => {
  const { put, get } = await aServer()
  for (const [given, words] of [
    [{ url: 'http://logs.example' }, 'targets.0.url would cross the network in the clear'],
    [{ url: 'https://l', facility: 'user' }, 'targets.0.facility is for syslog'],
    [{ url: 'https://l', headers: { Host: 'x' } }, 'targets.0.headers must not set host'],
    [{ url: 'https://l', name: '../x' }, 'name'],
    [{ url: 'https://l', tokens: 'x' }, 'tokens'],
  ] as [Partial<ForwardTarget>, string][]) {
    const { status, json } = await put(target(given))
    expect([status, (json as { detail: string }).detail]).toEqual([400, expect.stringContaining(words)])
  }
  const twice = await put(target({ url: 'https://l' }), target({ url: 'https://l' }))
  expect((twice.json as { detail: string }).detail).toContain('targets.1.name: "one" is there already')
  expect((await get()).targets).toEqual([])
})
