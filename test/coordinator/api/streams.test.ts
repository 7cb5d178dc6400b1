import type { IncomingMessage } from 'node:http'
import { request } from 'node:https'
import { describe, expect, onTestFinished, test } from 'vitest'
import { type ApiServer, anApiServer } from '../../build/api-server.ts'
import { change } from '../../build/cluster.ts'
import { call } from '../../build/https-call.ts'
import { aStackSpec } from '../../build/spec.ts'
import { until } from '../../build/until.ts'

type Options = Parameters<typeof anApiServer>[1]

async function aShop(options: Options = {}): Promise<ApiServer> {
  const server = await anApiServer(['n1', 'n2'], options)
  await call(server, { method: 'PUT', path: '/v1/stacks/shop', body: aStackSpec('shop', { api: { replicas: 1 } }) })
  await call(server, { path: '/v1/progress/shop' })
  return server
}

const taskOf = (server: ApiServer) => [...server.cluster.world.tasks.keys()][0]!

/** An open answer that is read only when the test says so. */
async function opened(server: ApiServer, path: string) {
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    const headers = { authorization: `Bearer ${server.token}` }
    const outgoing = request(new URL(path, server.url), { ca: server.ca, headers, agent: false }, resolve)
    outgoing.on('error', reject)
    onTestFinished(() => void outgoing.destroy())
    outgoing.end()
  })
  const chunks: string[] = []
  let isClosed = false
  answer.on('error', () => undefined)
  answer.on('close', () => {
    isClosed = true
  })
  return {
    status: answer.statusCode,
    read: () => void answer.setEncoding('utf8').on('data', (text: string) => void chunks.push(text)),
    text: () => chunks.join(''),
    records: () =>
      chunks
        .join('')
        .split('\n')
        .slice(0, -1)
        .map((line) => JSON.parse(line) as Record<string, unknown>),
    isClosed: () => isClosed,
    close: () => answer.destroy(),
  }
}

/** The numbers of the events in a stream of server-sent events. */
const numbers = (text: string) => [...text.matchAll(/^id: (\d+)$/gm)].map(([, number]) => Number(number))
const upTo = (count: number) => Array.from({ length: count }, (_, index) => index + 1)

function tell(server: ApiServer, count: number, message = 'x'.repeat(4_000)) {
  for (let index = 0; index < count; index++) server.tell({ at: 0, kind: 'test', level: 'info', message })
}

describe('a client that does not read', () => {
  test('of logs holds back the reader, and gets every line when it reads again', async () => {
    const server = await aShop()
    const stream = await opened(server, '/v1/logs?stack=shop&follow=true')
    const count = 4_000
    for (let index = 0; index < count; index++)
      server.logs.write(taskOf(server), `${index} ${'x'.repeat(10_000)}`, index)
    await new Promise((resolve) => setTimeout(resolve, 500))
    // What is under way is in the buffers of both sockets; the rest waits where it was.
    expect(server.logs.waiting).toBeGreaterThan(count / 3)
    stream.read()
    await until(() => stream.records().length > count)
    expect(
      stream
        .records()
        .slice(1)
        .map(({ at }) => at),
    ).toEqual(upTo(count).map((number) => number - 1))
  })

  test('of live events has none queued for it, and is told all of them from the history when it reads again', async () => {
    const server = await anApiServer()
    const stream = await opened(server, '/v1/events/live')
    const listened = server.listeners
    tell(server, 5_000)
    await until(() => server.listeners < listened)
    stream.read()
    await until(() => numbers(stream.text()).length === 5_000)
    tell(server, 3)
    await until(() => numbers(stream.text()).length === 5_003)
    expect(numbers(stream.text())).toEqual(upTo(5_003))
  })

  test('of progress skips pictures and gets the latest', async () => {
    const server = await aShop()
    server.pause()
    const names = Array.from({ length: 150 }, (_, index) => `s${String(index).padStart(60, '0')}`)
    const spec = (replicas: number) => aStackSpec('big', Object.fromEntries(names.map((name) => [name, { replicas }])))
    change(server.cluster, { kind: 'deploy-stack', spec: spec(1), prune: true })
    const stream = await opened(server, '/v1/progress/big')
    const pictures = 400
    for (let replicas = 2; replicas <= pictures; replicas++) {
      change(server.cluster, { kind: 'scale-service', service: `big_${names[0]}`, replicas })
      server.beat()
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    await new Promise((resolve) => setTimeout(resolve, 200))
    stream.read()
    await until(() => stream.text().includes(`"wanted":${pictures}`))
    expect([...stream.text().matchAll(/^event: progress$/gm)].length).toBeLessThan(pictures / 2)
  })

  test.each(['/v1/logs?stack=shop&follow=true', '/v1/events/live', '/v1/progress/later'])(
    'at all for too long is let go, and its place is free again: %s',
    async (path) => {
      const server = await aShop({ streams: { stalledMs: 700, max: 1 } })
      server.pause()
      const names = Array.from({ length: 300 }, (_, index) => `s${String(index).padStart(60, '0')}`)
      const spec = aStackSpec('later', Object.fromEntries(names.map((name) => [name, { replicas: 1 }])))
      change(server.cluster, { kind: 'deploy-stack', spec, prune: true })
      const stream = await opened(server, path)
      expect((await call(server, { path: '/v1/events/live' })).json.code).toBe('too-many-requests')
      const write = setInterval(() => {
        for (let index = 0; index < 50; index++) server.logs.write(taskOf(server), 'x'.repeat(50_000))
        tell(server, 100, 'x'.repeat(20_000))
        change(server.cluster, { kind: 'scale-service', service: `later_${names[0]}`, replicas: Date.now() % 1e6 })
        server.beat()
      }, 20)
      onTestFinished(() => clearInterval(write))
      let isFree = false
      while (!isFree) {
        const next = await opened(server, '/v1/events/live?after=999999')
        isFree = next.status === 200
        await new Promise((resolve) => setTimeout(resolve, 50))
        if (!isFree) next.close()
      }
      clearInterval(write)
      stream.read()
      await until(stream.isClosed)
    },
  )
})

describe('open streams', () => {
  test('are at most so many, of every kind together; one that is closed makes room for another', async () => {
    const server = await aShop({ streams: { max: 3 } })
    server.pause()
    change(server.cluster, { kind: 'scale-service', service: 'shop_api', replicas: 9 })
    const paths = ['/v1/logs?stack=shop&follow=true', '/v1/events/live', '/v1/progress/shop']
    const streams = await Promise.all(paths.map((path) => opened(server, path)))
    expect(streams.map(({ status }) => status)).toEqual([200, 200, 200])
    for (const path of paths) {
      const refused = await call(server, { path })
      expect([refused.status, refused.json.code, refused.json.max]).toEqual([429, 'too-many-requests', 3])
    }
    streams[0]!.close()
    await until(() => server.logs.readers === 0)
    expect((await opened(server, paths[1]!)).status).toBe(200)
    expect((await call(server, { path: '/status' })).status).toBe(200)
  })

  test('are 256 where nothing else is said, and the 257th is told so', { timeout: 120_000 }, async () => {
    const server = await anApiServer([])
    const streams = []
    for (let index = 0; index < 256; index++) streams.push(await opened(server, '/v1/events/live'))
    expect(streams.every(({ status }) => status === 200)).toBe(true)
    expect((await call(server, { path: '/v1/events/live' })).json.code).toBe('too-many-requests')
    for (const stream of streams) stream.close()
  })
})

describe('live events', () => {
  test('that begin in the past are all there, however many they are, and in order with those that come meanwhile', async () => {
    const server = await anApiServer()
    tell(server, 2_500, 'past')
    const stream = await opened(server, '/v1/events/live?after=10')
    stream.read()
    tell(server, 100, 'meanwhile')
    await until(() => numbers(stream.text()).length === 2_590)
    expect(numbers(stream.text())).toEqual(upTo(2_600).slice(10))
  })
})

describe('the records of a log answer', () => {
  test('say what was dropped, which nodes are away and what cannot be read, in between the lines, and that it is complete', async () => {
    const server = await aShop()
    const stream = await opened(server, '/v1/logs?stack=shop&follow=true')
    stream.read()
    await until(() => server.logs.readers === 1)
    const task = taskOf(server)
    server.logs.write(task, 'one', 1)
    server.logs.say({ dropped: 3 })
    server.logs.say({ missingNodes: ['n2'] })
    server.logs.say({ failures: [{ node: 'n1', task: null, message: 'too many streams' }] })
    server.logs.write(task, 'two', 2.5)
    await until(() => stream.records().length === 6)
    expect(stream.records()).toEqual([
      { tasks: { [task]: 'shop_api.1' }, now: expect.any(Number) },
      { task, at: 1, source: 'stdout', text: 'one' },
      { dropped: 3 },
      { missingNodes: ['n2'] },
      { warning: 'n1: too many streams' },
      { task, at: 2.5, source: 'stdout', text: 'two' },
    ])
    const whole = await call(server, { path: `/v1/logs?task=${task}` })
    expect(whole.text.trimEnd().split('\n').at(-1)).toBe('{"ended":"complete"}')
  })

  test('of a service whose log driver is none say so', async () => {
    const server = await anApiServer(['n1'])
    const stack = aStackSpec('shop', { api: { container: { logging: { driver: 'none', options: {} } } } })
    await call(server, { method: 'PUT', path: '/v1/stacks/shop', body: stack })
    await call(server, { path: '/v1/progress/shop' })
    const { text } = await call(server, { path: '/v1/logs?service=shop_api' })
    expect(text).toContain('{"warning":"shop_api: its log driver is none, which keeps nothing"}')
  })

  test('of a time that ends before it begins are refused', async () => {
    const server = await aShop()
    const forever = await call(server, { path: '/v1/logs?service=shop_api&follow=true&until=1000' })
    expect([forever.status, forever.json.code]).toEqual([400, 'invalid-request'])
    const { status, json } = await call(server, { path: '/v1/logs?service=shop_api&since=2000&until=1000' })
    expect([status, json.code]).toEqual([400, 'invalid-request'])
    expect(json.detail).toContain('--since is later than --until')
  })

  test('go on behind what the reader has had; tasks that it does not know begin with their first line', async () => {
    const server = await aShop()
    await call(server, { method: 'POST', path: '/v1/services/shop_api/scale', body: { replicas: 2 } })
    await until(() => server.cluster.world.tasks.size === 2)
    await call(server, { path: '/v1/progress/shop' })
    const [known, other] = [...server.cluster.world.tasks.keys()] as [string, string]
    for (const text of ['1', '2', '3']) server.logs.write(known, text, 7)
    server.logs.write(other, 'other', 1)
    const body = { stack: 'shop', tail: 0, from: { [known]: { at: 7, lines: 2 } } }
    const { text } = await call(server, { method: 'POST', path: '/v1/logs', body })
    const lines = text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line).text)
    expect(lines.filter(Boolean).sort()).toEqual(['3', 'other'])
    const wrong = { ...body, from: { [known]: { at: 7 } } }
    expect((await call(server, { method: 'POST', path: '/v1/logs', body: wrong })).json.code).toBe('invalid-request')
  })

  test('show a sign of life now and then while there is nothing to say', async () => {
    const server = await aShop({ streams: { keepAliveMs: 50 } })
    const stream = await opened(server, '/v1/logs?stack=shop&follow=true')
    stream.read()
    await until(() => stream.records().filter((record) => 'alive' in record).length >= 2)
  })
})

test('a reader of events that comes too late is told which numbers it has missed, then what is kept', async () => {
  const server = await anApiServer()
  tell(server, 5, 'x')
  server.dropEvents(3)
  const stream = await opened(server, '/v1/events/live?after=1')
  stream.read()
  await until(() => stream.text().includes('id: 5'))
  expect(stream.text()).toContain('id: 3\nevent: missed\ndata: {"from":2,"to":3}\n')
  expect(numbers(stream.text())).toEqual([3, 4, 5])
})
