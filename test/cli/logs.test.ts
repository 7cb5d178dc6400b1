import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createClient } from '../../cli/client.ts'
import { type LogNews, readLogs } from '../../cli/log-reader.ts'
import { type ApiServer, anApiServer } from '../build/api-server.ts'
import { change } from '../build/cluster.ts'
import { call } from '../build/https-call.ts'
import { aStackSpec } from '../build/spec.ts'
import { aTcpLine } from '../build/tcp-line.ts'
import { until } from '../build/until.ts'
import { run } from '../engines/processes.ts'

const BERTH = join(import.meta.dirname, '../../bin/berth')

async function aShop(replicas = 1, options: Parameters<typeof anApiServer>[1] = {}): Promise<ApiServer> {
  const server = await anApiServer(['n1', 'n2'], options)
  await call(server, { method: 'PUT', path: '/v1/stacks/shop', body: aStackSpec('shop', { api: { replicas } }) })
  await call(server, { path: '/v1/progress/shop' })
  return server
}

function taskIds(server: ApiServer): string[] {
  return [...server.cluster.world.tasks.values()].filter(({ desired }) => desired === 'running').map(({ id }) => id)
}

const scale = (server: ApiServer, replicas: number) =>
  call(server, { method: 'POST', path: '/v1/services/shop_api/scale', body: { replicas } })

/** Reads in this process, so that a test can choose how long a silence is too long. */
function reading(server: ApiServer, query: object, url = server.url, silenceMaxMs = 500) {
  const client = createClient({ url, token: server.token, ca: server.ca }, { silenceMaxMs })
  const news: LogNews[] = []
  const done = (async () => {
    for await (const some of readLogs(client, query, { reconnectMs: 20 })) news.push(...some)
  })()
  done.catch(() => undefined)
  onTestFinished(() => client.close())
  return {
    news,
    done,
    texts: () => news.flatMap((each) => ('text' in each ? [each.text] : [])),
    has: (word: string) => news.some((each) => word in each),
  }
}

describe('following', () => {
  test('tasks that are made later join, with their names and all their lines', async () => {
    const server = await aShop()
    const { news, texts } = reading(server, { service: 'shop_api', follow: true, tail: 0 })
    await until(() => server.logs.readers === 1)
    await scale(server, 3)
    await until(() => news.filter((each) => 'tasks' in each).flatMap(({ tasks }) => Object.keys(tasks)).length === 3)
    for (const id of taskIds(server)) server.logs.write(id, `hello from ${id}`)
    await until(() => texts().length === 3)
    expect(texts().sort()).toEqual(
      taskIds(server)
        .map((id) => `hello from ${id}`)
        .sort(),
    )
  })

  test('a task by its name goes on with its successor in the slot', async () => {
    const server = await aShop()
    const [first] = taskIds(server)
    const { texts } = reading(server, { task: 'shop_api.1', follow: true })
    await until(() => server.logs.readers === 1)
    server.logs.write(first!, 'first')
    const body = aStackSpec('shop', { api: { replicas: 1, image: 'example/api:2' } })
    await call(server, { method: 'PUT', path: '/v1/stacks/shop', body })
    await until(() => taskIds(server).some((id) => id !== first))
    const second = taskIds(server).find((id) => id !== first)!
    server.logs.write(second, 'second')
    await until(() => texts().length === 2)
    expect(texts()).toEqual(['first', 'second'])
  })

  test('ends when the stack is removed', async () => {
    const server = await aShop()
    const { done, news } = reading(server, { stack: 'shop', follow: true })
    await until(() => server.logs.readers === 1)
    change(server.cluster, { kind: 'remove-stack', stack: 'shop' })
    await done
    expect(news.at(-1)).toEqual({ ended: 'gone' })
  })

  test('over a line that went dead it goes on behind the last line of each task, none lost and none doubled', async () => {
    const server = await aShop(2, { streams: { keepAliveMs: 100 } })
    const line = await aTcpLine(server.url)
    const [a, b] = taskIds(server) as [string, string]
    for (const text of ['b1', 'b2', 'b3']) server.logs.write(b, text, 5_000)
    server.logs.write(a, 'a1', 9_000)
    const { texts, has } = reading(server, { stack: 'shop', follow: true }, line.url)
    await until(() => texts().length === 4)
    line.goDead()
    server.logs.write(b, 'b4', 5_000)
    server.logs.write(a, 'a2', 9_000)
    await until(() => texts().length === 6)
    expect(has('broken')).toBe(true)
    expect(texts().sort()).toEqual(['a1', 'a2', 'b1', 'b2', 'b3', 'b4'])
  })

  test('while nobody writes, signs of life keep the line: silence is not taken for death', async () => {
    const server = await aShop(1, { streams: { keepAliveMs: 100 } })
    const { has, texts } = reading(server, { stack: 'shop', follow: true })
    await until(() => server.logs.readers === 1)
    await new Promise((resolve) => setTimeout(resolve, 1_200))
    server.logs.write(taskIds(server)[0]!, 'at last')
    await until(() => texts().length === 1)
    expect(has('broken')).toBe(false)
  })

  test('over a restart of the coordinator it goes on, with what was written and what was started meanwhile', async () => {
    const before = await aShop()
    const { texts, news } = reading(before, { stack: 'shop', follow: true, tail: 0 })
    await until(() => before.logs.readers === 1)
    const [id] = taskIds(before) as [string]
    before.logs.write(id, 'before', 1)
    await until(() => texts().length === 1)
    await before.close()
    await until(() => news.some((each) => 'broken' in each))
    before.logs.write(id, 'meanwhile', 1)
    const after = await anApiServer([], { before })
    await scale(after, 2)
    await until(() => taskIds(after).length === 2)
    after.logs.write(taskIds(after).find((other) => other !== id)!, 'new task', 2)
    await until(() => texts().length === 3)
    expect(texts().slice(1).sort()).toEqual(['meanwhile', 'new task'])
    expect(news.filter((each) => 'ended' in each)).toEqual([{ ended: 'back' }])
  })

  test('when no past was wanted, what a silent task writes while the line is away is not lost', async () => {
    const server = await aShop(1, { streams: { keepAliveMs: 100 } })
    const line = await aTcpLine(server.url)
    const [id] = taskIds(server) as [string]
    server.logs.write(id, 'long ago', 5)
    const { texts, has } = reading(server, { stack: 'shop', follow: true, tail: 0 }, line.url)
    await until(() => has('tasks'))
    line.goDead()
    server.logs.write(id, 'meanwhile')
    await until(() => texts().length === 1)
    expect(texts()).toEqual(['meanwhile'])
  })
})

describe('an answer that does not follow', () => {
  test('that breaks off is an error and not a short answer', async () => {
    const server = await aShop()
    const line = await aTcpLine(server.url)
    server.logs.set(taskIds(server)[0]!, Array(50_000).fill('x'.repeat(200)))
    const { done, texts } = reading(server, { stack: 'shop' }, line.url)
    await until(() => texts().length > 0)
    line.cut()
    await expect(done).rejects.toThrow(expect.objectContaining({ code: 'unreachable' }))
  })
})

describe('berth logs', () => {
  test('takes several tests of fields, says when nothing is as was asked for, and gives fields as data', async () => {
    const server = await aShop()
    const [task] = taskIds(server)
    server.logs.set(task!, ['{"status":500,"path":"/a"}', '{"status":500,"path":"/b"}', 'plain'])
    const berth = async (...args: string[]) => run(BERTH, ['logs', 'shop_api', ...args], { env: await server.env() })
    const found = await berth('--field', 'status>=500', '--field', 'path=/b')
    expect([found.exit, found.stdout, found.stderr]).toEqual([0, 'shop_api.1 | {"status":500,"path":"/b"}\n', ''])
    const none = await berth('--field', 'status<500')
    expect([none.exit, none.stdout, none.stderr]).toEqual([0, '', '(no line of shop_api is as was asked for)\n'])
    const data = await berth('--field', 'path=/a', '--json')
    expect(JSON.parse(data.stdout).fields).toEqual({ status: 500, path: '/a' })
    const wrong = await berth('--field', 'status>=high')
    expect([wrong.exit, wrong.stderr]).toEqual([2, expect.stringContaining('write it like status>=500')])
  })

  test('says on stderr what is missing, and keeps it out of the lines', async () => {
    const server = await aShop()
    const child = spawn(BERTH, ['logs', '-f', 'shop'], { env: await server.env() })
    onTestFinished(() => void child.kill('SIGKILL'))
    let [stdout, stderr] = ['', '']
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
    await until(() => server.logs.readers === 1)
    server.logs.say({ dropped: 7, missingNodes: ['n2'], failures: [{ node: 'n1', task: 'x', message: 'no driver' }] })
    server.logs.write(taskIds(server)[0]!, 'a line')
    await until(() => stdout !== '' && stderr.split('\n').length > 3)
    expect(stdout).toBe('shop_api.1 | a line\n')
    expect(stderr).toBe(
      '(7 lines left out: more came than could be sent)\n(no lines from n2: not connected)\n(no lines from n1, x: no driver)\n',
    )
    change(server.cluster, { kind: 'remove-stack', stack: 'shop' })
    const exit = await new Promise((resolve) => child.once('close', resolve))
    expect([exit, stderr.split('\n').at(-2)]).toEqual([0, '(nothing is left of shop)'])
  })

  test('whose reader does not read holds its coordinator back instead of filling its own memory', async () => {
    const server = await aShop()
    const child = spawn(BERTH, ['logs', '-f', 'shop'], { env: await server.env(), stdio: ['ignore', 'pipe', 'pipe'] })
    onTestFinished(() => void child.kill('SIGKILL'))
    await until(() => server.logs.readers === 1)
    const [id] = taskIds(server) as [string]
    const count = 9_000
    const text = 'x'.repeat(10_000)
    for (let index = 0; index < count; index++) server.logs.write(id, text, index)
    await new Promise((resolve) => setTimeout(resolve, 1_500))
    expect(server.logs.waiting).toBeGreaterThan(count / 3)
    const expected = count * ('shop_api.1 | \n'.length + text.length)
    let bytes = 0
    child.stdout.on('data', (chunk: Buffer) => (bytes += chunk.length))
    await until(() => bytes >= expected)
    expect(bytes).toBe(expected)
  })
})
