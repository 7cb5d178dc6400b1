import { createSocket } from 'node:dgram'
import { readFile, stat } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { NewEvent } from '../../../coordinator/events.ts'
import { openForwardingFiles } from '../../../coordinator/forwarding/files.ts'
import { openForwarding } from '../../../coordinator/forwarding/forwarding.ts'
import { Totals } from '../../../coordinator/metrics/totals.ts'
import { makeCa, makeServerKey, signServer } from '../../../coordinator/security/certificates.ts'
import { systemClock } from '../../../shared/clock.ts'
import { ALL_LINES, type ForwardTarget } from '../../../shared/forwarding/config.ts'
import { aKeptLog, LOG_START } from '../../build/kept-log.ts'
import { anHttpTarget, answering, aSyslogTarget, lokiTexts, otlpTexts, syslogTexts } from '../../build/targets.ts'
import { until } from '../../build/until.ts'
import { aWorld } from '../../build/world.ts'

type KeptLog = Awaited<ReturnType<typeof aKeptLog>>

const log = { info() {}, warn() {}, error() {}, debug() {} } as never
const SECRET = 'T0P-S3CRET'
const numbered = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => `line ${from + index}`)
const aTarget = (given: Partial<ForwardTarget> & Pick<ForwardTarget, 'kind' | 'url'>): ForwardTarget => ({
  ...{ name: 'one', begin: 'oldest', logs: ALL_LINES, metrics: null },
  ...given,
})
/** A second is ten milliseconds. */
const clock = {
  ...systemClock,
  monotonicMs: () => performance.now() * 100,
  sleep: (ms: number, signal?: AbortSignal) => systemClock.sleep(ms / 100, signal),
}

/** Forwarding over this log, started; `stop` as a coordinator does that ends, `kill` as one that is killed. */
async function aForwarding(kept: KeptLog, given: { metricsOnly?: boolean } = {}) {
  const dir = join(kept.dir, '../forwarding')
  const events: NewEvent[] = []
  const files = await openForwardingFiles(dir)
  let isKilled = false
  const writePosition: typeof files.writePosition = (...args) =>
    isKilled ? Promise.reject(new Error('killed')) : files.writePosition(...args)
  const forwarding = await openForwarding({
    files: { ...files, writePosition },
    store: given.metricsOnly ? null : kept.store,
    picture: () => ({
      world: aWorld(),
      totals: new Totals(),
      startedAt: LOG_START,
      now: LOG_START,
    }),
    tell: (event) => events.push(event),
    clock,
    chance: () => 0,
    log,
  })
  const stop = new AbortController()
  const running = forwarding.run(stop.signal)
  const end = () => {
    stop.abort()
    return running
  }
  onTestFinished(end)
  return {
    dir,
    events,
    ...forwarding,
    set: (...targets: ForwardTarget[]) => forwarding.setConfig({ targets }),
    logs: (name = 'one') => forwarding.targets().find(({ target }) => target.name === name)!.logs!,
    stop: end,
    kill() {
      isKilled = true
      return end()
    },
  }
}

test('Loki gets each line once and in order, with who sends it, and what comes later too', async () => {
  const [kept, loki] = [await aKeptLog(), await anHttpTarget()]
  await kept.write('shop_api', numbered(0, 500))
  const forwarding = await aForwarding(kept)
  await forwarding.set(aTarget({ kind: 'loki', url: `http://127.0.0.1:${loki.port}`, tenant: 'ops', token: SECRET }))
  await until(() => lokiTexts(loki.posted).length >= 500)
  await kept.write('shop_api', numbered(500, 600))
  await until(() => lokiTexts(loki.posted).length >= 600)
  expect(lokiTexts(loki.posted)).toEqual(numbered(0, 600))
  const [{ path, headers }] = loki.posted as [(typeof loki.posted)[0]]
  expect(path).toBe('/loki/api/v1/push')
  expect(headers).toMatchObject({
    'x-scope-orgid': 'ops',
    authorization: `Bearer ${SECRET}`,
    'content-encoding': 'gzip',
  })
  await until(() => forwarding.logs().behind.lines === 0)
  expect(forwarding.logs()).toMatchObject({ state: { name: 'ok' }, counts: { lines: 600, refused: 0, skipped: 0 } })
})

describe('whatever a target does, nothing is lost and order is kept', () => {
  test.each([
    ['it is overloaded', [answering(503), answering(429, '', { 'retry-after': '1' }), answering(500)]],
    ['it forbids', [answering(401), answering(403), answering(404)]],
    ['it leads elsewhere', [answering(302, '', { location: 'http://127.0.0.1:1/' })]],
    ['it breaks the connection', [(response: { destroy(): void }) => response.destroy()]],
  ])('%s', async (_what, faults) => {
    const [kept, loki] = [await aKeptLog(), await anHttpTarget()]
    loki.faults.push(...faults)
    await kept.write('shop_api', numbered(0, 100))
    const forwarding = await aForwarding(kept)
    await forwarding.set(aTarget({ kind: 'loki', url: `http://127.0.0.1:${loki.port}/loki/api/v1/push` }))
    await until(() => lokiTexts(loki.posted).length >= 100)
    await kept.write('shop_api', numbered(100, 200))
    await until(() => lokiTexts(loki.posted).length >= 200)
    expect(lokiTexts(loki.posted)).toEqual(numbered(0, 200))
    expect(forwarding.logs().counts.failures).toBe(faults.length)
  })

  test('it is away, comes back elsewhere under the same name, and goes on where it was', async () => {
    const [kept, first] = [await aKeptLog(), await anHttpTarget()]
    await kept.write('shop_api', numbered(0, 100))
    const forwarding = await aForwarding(kept)
    await forwarding.set(aTarget({ kind: 'otlp', url: `http://127.0.0.1:${first.port}` }))
    await until(() => otlpTexts(first.posted).length >= 100 && forwarding.logs().behind.lines === 0)
    await first.close()
    await kept.write('shop_api', numbered(100, 200))
    await until(() => forwarding.logs().state.name === 'retrying')
    expect(forwarding.logs()).toMatchObject({
      state: { why: 'target one cannot be reached (ECONNREFUSED)' },
      behind: { lines: 100 },
    })
    expect(forwarding.troubles()).toEqual([{ target: 'one', why: 'target one cannot be reached (ECONNREFUSED)' }])
    const second = await anHttpTarget()
    await forwarding.set(aTarget({ kind: 'otlp', url: `http://127.0.0.1:${second.port}/otlp` }))
    await until(() => otlpTexts(second.posted).length >= 100)
    expect(otlpTexts(second.posted)).toEqual(numbered(100, 200))
    expect(second.posted[0]!.path).toBe('/otlp/v1/logs')
  })

  test('it answers and then goes on for ever: what counts is the status', async () => {
    const [kept, loki] = [await aKeptLog(), await anHttpTarget()]
    loki.faults.push((response) => response.writeHead(200, { 'content-length': '99999' }).write('x'.repeat(20_000)))
    await kept.write('shop_api', numbered(0, 10))
    const forwarding = await aForwarding(kept)
    await forwarding.set(aTarget({ kind: 'loki', url: `http://127.0.0.1:${loki.port}` }))
    await until(() => forwarding.logs().counts.lines === 10)
    expect(lokiTexts(loki.refused)).toEqual(numbered(0, 10))
  })
})

test('what a target will never take is passed over, told once with how much and why, and costs no other lines', async () => {
  const [kept, loki] = [await aKeptLog(), await anHttpTarget()]
  loki.faults.push(answering(400, `entry too far\nbehind, token ${SECRET}`))
  await kept.write('shop_api', numbered(0, 10))
  const forwarding = await aForwarding(kept)
  await forwarding.set(aTarget({ kind: 'loki', url: `http://127.0.0.1:${loki.port}`, token: SECRET }))
  await until(() => forwarding.logs().counts.refused === 10)
  await kept.write('shop_api', numbered(10, 20))
  await until(() => lokiTexts(loki.posted).length === 10)
  expect(lokiTexts(loki.posted)).toEqual(numbered(10, 20))
  const told = forwarding.events.filter(({ kind }) => kind === 'forward-refused').map(({ message }) => message)
  expect(told).toEqual([
    'target one refuses 10 lines, which it will not get: it answered with status 400: entry too far behind, token (hidden)',
  ])
})

test('what retention takes while a target is away is told once, with how much it was', async () => {
  let now = LOG_START
  const [kept, loki] = [await aKeptLog({ ageMaxMs: 3_600_000, now: () => now }), await anHttpTarget()]
  loki.setDown(true)
  await kept.write('shop_api', numbered(0, 10))
  const forwarding = await aForwarding(kept)
  await forwarding.set(aTarget({ kind: 'loki', url: `http://127.0.0.1:${loki.port}` }))
  await until(() => forwarding.logs().state.name === 'retrying')
  await kept.write('shop_api', numbered(10, 40))
  const { failures } = forwarding.logs().counts
  // It has looked at them since.
  await until(() => forwarding.logs().counts.failures >= failures + 2)
  now += 2 * 3_600_000
  await kept.store.sweep()
  await until(() => forwarding.logs().counts.skipped > 0)
  loki.setDown(false)
  await kept.write('shop_api', numbered(40, 50), { at: now })
  await until(() => lokiTexts(loki.posted).length >= 20)
  // The batch that was under way was in hand already.
  expect(lokiTexts(loki.posted)).toEqual([...numbered(0, 10), ...numbered(40, 50)])
  const told = forwarding.events.filter(({ kind }) => kind === 'forward-skipped').map(({ message }) => message)
  expect(told).toEqual([
    expect.stringMatching(/^30 lines \(\d+ bytes\) were not forwarded to target one: the log store kept/),
  ])
})

test('what is too large at once goes in halves, in order; a single line that is too large is passed over', async () => {
  const [kept, loki] = [await aKeptLog(), await anHttpTarget()]
  // All four; the first two; its first line alone.
  loki.faults.push(answering(413), answering(413), answering(413))
  await kept.write('shop_api', numbered(0, 4))
  const forwarding = await aForwarding(kept)
  await forwarding.set(aTarget({ kind: 'loki', url: `http://127.0.0.1:${loki.port}` }))
  await until(() => forwarding.logs().behind.lines === 0)
  expect(lokiTexts(loki.posted)).toEqual(numbered(1, 4))
  expect(forwarding.logs().counts).toMatchObject({ lines: 3, refused: 1 })
})

test('what an OTLP receiver takes in part is counted', async () => {
  const [kept, collector] = [await aKeptLog(), await anHttpTarget()]
  collector.faults.push(answering(200, '{"partialSuccess":{"rejectedLogRecords":"3","errorMessage":"too old"}}'))
  await kept.write('shop_api', numbered(0, 10))
  const forwarding = await aForwarding(kept)
  await forwarding.set(aTarget({ kind: 'otlp', url: `http://127.0.0.1:${collector.port}` }))
  await until(() => forwarding.logs().counts.batches === 1)
  expect(forwarding.logs().counts).toMatchObject({ lines: 7, refused: 3 })
})

describe('over a restart of the coordinator', () => {
  test('that ends well each line comes once', async () => {
    const [kept, loki] = [await aKeptLog(), await anHttpTarget()]
    await kept.write('shop_api', numbered(0, 100))
    const first = await aForwarding(kept)
    await first.set(aTarget({ kind: 'loki', url: `http://127.0.0.1:${loki.port}` }))
    await until(() => first.logs().behind.lines === 0)
    await first.stop()
    await kept.restart()
    await kept.write('shop_api', numbered(100, 200))
    const second = await aForwarding(kept)
    await until(() => second.logs().behind.lines === 0)
    expect(lokiTexts(loki.posted)).toEqual(numbered(0, 200))
  })

  test('that is killed at any moment each comes at least once, in order', async () => {
    const [kept, loki] = [await aKeptLog(), await anHttpTarget()]
    let said = 0
    for (let round = 0; round < 5; round++) {
      const forwarding = await aForwarding(kept)
      if (round === 0) await forwarding.set(aTarget({ kind: 'loki', url: `http://127.0.0.1:${loki.port}` }))
      for (let block = 0; block < 5; block++) {
        await kept.write('shop_api', numbered(said, said + 20))
        said += 20
        await systemClock.sleep(7 * round)
      }
      await forwarding.kill()
      await kept.restart()
    }
    const last = await aForwarding(kept)
    await until(() => last.logs().behind.lines === 0)
    const texts = lokiTexts(loki.posted)
    expect(new Set(texts)).toEqual(new Set(numbered(0, said)))
    // First seen in order: what comes again came before.
    expect([...new Set(texts)]).toEqual(numbered(0, said))
  })
})

test('a target that hangs holds up neither another nor the end', async () => {
  const [kept, slow, quick] = [await aKeptLog(), await anHttpTarget(), await anHttpTarget()]
  slow.faults.push(() => {})
  await kept.write('shop_api', numbered(0, 100))
  const forwarding = await aForwarding(kept)
  await forwarding.set(
    aTarget({ name: 'slow', kind: 'loki', url: `http://127.0.0.1:${slow.port}` }),
    aTarget({ name: 'quick', kind: 'loki', url: `http://127.0.0.1:${quick.port}` }),
  )
  await until(() => slow.refused.length === 1)
  await kept.write('shop_api', numbered(100, 200))
  await until(() => lokiTexts(quick.posted).length === 200)
  expect(forwarding.logs('slow').behind.lines).toBe(200)
  await forwarding.stop()
})

test('one that fails for more than a minute is told once, and once when it takes lines again', async () => {
  const kept = await aKeptLog()
  await kept.write('shop_api', numbered(0, 10))
  let now = LOG_START
  const events: NewEvent[] = []
  const loki = await anHttpTarget()
  for (let count = 0; count < 8; count++) loki.faults.push(answering(503))
  const forwarding = await openForwarding({
    files: await openForwardingFiles(join(kept.dir, '../forwarding')),
    store: kept.store,
    picture: () => ({ world: aWorld(), totals: new Totals(), startedAt: now, now }),
    tell: (event) => events.push(event),
    clock: {
      ...systemClock,
      now: () => now,
      sleep: async (ms, signal) => {
        now += ms
        await systemClock.sleep(1, signal)
      },
    },
    chance: () => 1,
    log,
  })
  const stop = new AbortController()
  const running = forwarding.run(stop.signal)
  await forwarding.setConfig({ targets: [aTarget({ kind: 'loki', url: `http://127.0.0.1:${loki.port}` })] })
  await until(() => lokiTexts(loki.posted).length === 10)
  await until(() => events.some(({ kind }) => kind === 'forward-recovered'))
  stop.abort()
  await running
  expect(events.map(({ kind, message }) => `${kind}: ${message}`)).toEqual([
    'forward-set: 1 target of forwarding set',
    'forward-failing: target one: it answered with status 503, for 63 s now. Its lines wait in the log store for as long as that keeps them',
    'forward-recovered: target one takes lines again after 8 failures',
  ])
})

describe('syslog', () => {
  test('over TCP each batch is a connection that the server ends, and what breaks before comes again', async () => {
    const kept = await aKeptLog()
    let connections = 0
    const target = await aSyslogTarget({
      onConnection: (socket) => {
        connections += 1
        if (connections <= 2) socket.once('data', () => socket.resetAndDestroy())
      },
    })
    await kept.write('shop_api', numbered(0, 100))
    const forwarding = await aForwarding(kept)
    await forwarding.set(aTarget({ kind: 'syslog', url: `tcp://127.0.0.1:${target.port}`, facility: 'local0' }))
    await until(() => target.messages.length >= 100)
    await kept.write('shop_api', numbered(100, 150))
    await until(() => target.messages.length >= 150)
    expect(syslogTexts(target.messages)).toEqual(numbered(0, 150))
    expect(target.messages[0]).toMatch(
      /^<134>1 2026-11-27T07:00:00\.000250Z n1 shop_api shop_api-1 stdout \[berth@32473 /,
    )
    expect(forwarding.logs().counts.failures).toBe(2)
  })

  test('a server that ends the connection before it has read all has taken nothing', async () => {
    const kept = await aKeptLog()
    let connections = 0
    const target = await aSyslogTarget({
      onConnection: (socket) => {
        connections += 1
        if (connections === 1) socket.destroy()
        if (connections === 2) socket.end()
      },
    })
    const text = 'x'.repeat(7_000)
    for (let block = 0; block < 40; block++)
      await kept.write(
        'shop_api',
        Array.from({ length: 25 }, (_, index) => `${block * 25 + index} ${text}`),
      )
    const forwarding = await aForwarding(kept)
    await forwarding.set(aTarget({ kind: 'syslog', url: `tcp://127.0.0.1:${target.port}` }))
    const numbers = () => new Set(syslogTexts(target.messages).map((text) => Number(text.split(' ')[0])))
    await until(() => numbers().size >= 1_000)
    expect([...numbers()]).toEqual([...Array(1_000).keys()])
  })

  test('over UDP each message is a datagram of at most 2,048 bytes', async () => {
    const kept = await aKeptLog()
    const received: Buffer[] = []
    const socket = createSocket('udp4', (message) => received.push(message))
    await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve))
    onTestFinished(() => void socket.close())
    await kept.write('shop_api', ['short', 'y'.repeat(5_000)])
    const forwarding = await aForwarding(kept)
    await forwarding.set(aTarget({ kind: 'syslog', url: `udp://127.0.0.1:${(socket.address() as AddressInfo).port}` }))
    await until(() => received.length >= 4)
    expect(Math.max(...received.map(({ length }) => length))).toBeLessThanOrEqual(2_048)
    expect(syslogTexts(received.map(String)).join('')).toBe(`short${'y'.repeat(5_000)}`)
  })
})

test('secrets are in one file that its owner alone may read, and in no event, view or position', async () => {
  const kept = await aKeptLog()
  const forwarding = await aForwarding(kept)
  await forwarding.set(
    aTarget({ kind: 'loki', url: `https://127.0.0.1:1/${SECRET}`, token: SECRET, headers: { 'x-a': SECRET } }),
  )
  expect((await forwarding.test())[0]!.error).toBe('target one cannot be reached (ECONNREFUSED)')
  await until(() => forwarding.targets()[0]!.logs !== null)
  expect(JSON.stringify([forwarding.targets(), forwarding.events, await forwarding.test()])).not.toContain(SECRET)
  expect((await stat(join(forwarding.dir, 'config.json'))).mode & 0o777).toBe(0o600)
  expect(await readFile(join(forwarding.dir, 'position-one.json'), 'utf8')).not.toContain(SECRET)
})

test('a test is a line that says so, and a target that is taken away is forgotten', async () => {
  const [kept, loki] = [await aKeptLog(), await anHttpTarget()]
  await kept.write('shop_api', numbered(0, 10))
  const forwarding = await aForwarding(kept)
  const target = aTarget({ kind: 'loki', url: `http://127.0.0.1:${loki.port}`, begin: 'now' })
  await forwarding.set(target)
  expect(await forwarding.test()).toEqual([{ target: 'one', error: null }])
  expect(lokiTexts(loki.posted)).toEqual(['this is a test of the target: nothing is wrong'])
  await forwarding.set()
  expect(forwarding.targets()).toEqual([])
  await kept.write('shop_api', numbered(10, 20))
  // Set anew it begins anew.
  await forwarding.set({ ...target, begin: 'oldest' })
  await until(() => lokiTexts(loki.posted).length >= 21)
  expect(lokiTexts(loki.posted).slice(1)).toEqual(numbered(0, 20))
})

test('where no lines are kept none can be forwarded, and it is said', async () => {
  const forwarding = await aForwarding(await aKeptLog(), { metricsOnly: true })
  const target = aTarget({ kind: 'loki', url: 'http://127.0.0.1:1' })
  await expect(forwarding.set(target)).rejects.toThrow('no lines are kept (--logs-size 0)')
})

test('figures go to /v1/metrics at their interval', async () => {
  const collector = await anHttpTarget()
  const forwarding = await aForwarding(await aKeptLog(), { metricsOnly: true })
  await forwarding.set(
    aTarget({ kind: 'otlp', url: `http://127.0.0.1:${collector.port}`, logs: null, metrics: { everyMs: 5_000 } }),
  )
  const figures = () => forwarding.targets()[0]!.metrics!
  await until(() => figures().counts.sent >= 2)
  expect(forwarding.targets()[0]).toMatchObject({ logs: null, metrics: { trouble: null } })
  expect(collector.posted[0]!.path).toBe('/v1/metrics')
  collector.faults.push(answering(503))
  await until(() => figures().trouble !== null)
  expect(figures().trouble!.why).toBe('target one: it answered with status 503')
  await until(() => figures().trouble === null)
})

describe('over TLS', () => {
  async function certificates() {
    const validity = { from: Date.now() - 60_000, until: Date.now() + 3_600_000 }
    const ca = await makeCa('test', validity)
    const key = await makeServerKey()
    return { ca: ca.certificatePem, tls: { key, cert: await signServer(ca, key, ['127.0.0.1'], validity) } }
  }

  test('a syslog server with a certificate of the named authority gets each line; without, nothing is sent', async () => {
    const { ca, tls } = await certificates()
    const [kept, target] = [await aKeptLog(), await aSyslogTarget({ tls })]
    await kept.write('shop_api', numbered(0, 100))
    const forwarding = await aForwarding(kept)
    const url = `tls://127.0.0.1:${target.port}`
    await forwarding.set(aTarget({ kind: 'syslog', url }))
    await until(() => forwarding.logs().state.name === 'retrying')
    expect(forwarding.logs().state).toMatchObject({
      why: expect.stringMatching(/cannot be reached \((SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_VERIFY_LEAF_SIGNATURE)\)/),
    })
    expect(target.messages).toEqual([])
    await forwarding.set(aTarget({ kind: 'syslog', url, ca }))
    await until(() => target.messages.length >= 100)
    expect(syslogTexts(target.messages)).toEqual(numbered(0, 100))
  })

  test('so does Loki', async () => {
    const { ca, tls } = await certificates()
    const [kept, loki] = [await aKeptLog(), await anHttpTarget({ tls })]
    await kept.write('shop_api', numbered(0, 100))
    const forwarding = await aForwarding(kept)
    const url = `https://127.0.0.1:${loki.port}`
    await forwarding.set(aTarget({ kind: 'loki', url }))
    await until(() => forwarding.logs().state.name === 'retrying')
    await forwarding.set(aTarget({ kind: 'loki', url, ca }))
    await until(() => lokiTexts(loki.posted).length >= 100)
    expect(lokiTexts(loki.posted)).toEqual(numbered(0, 100))
  })
})
