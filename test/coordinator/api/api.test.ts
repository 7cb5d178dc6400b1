import { connect } from 'node:tls'
import { Check } from 'typebox/value'
import { describe, expect, test } from 'vitest'
import {
  DeployAnswer,
  NodeDocument,
  Page,
  ServiceDetail,
  ServiceDocument,
  StackDocument,
  StatusDocument,
  TaskDocument,
} from '../../../shared/api.ts'
import { anApiServer } from '../../build/api-server.ts'
import { call } from '../../build/https-call.ts'
import { aStackSpec } from '../../build/spec.ts'
import { until } from '../../build/until.ts'

const shop = aStackSpec('shop', { api: { replicas: 3 }, web: { replicas: 1, dependsOn: { api: 'service_started' } } })
const deployShop = { method: 'PUT', path: '/v1/stacks/shop', body: shop }

describe('who may ask', () => {
  test('no route but healthz and the join answers without a token', async () => {
    const server = await anApiServer()
    const description = await call(server, { path: '/v1/openapi.json' })
    const paths = Object.entries(description.json.paths as Record<string, Record<string, unknown>>)
    expect(paths.length).toBeGreaterThan(15)
    for (const [path, methods] of paths) {
      for (const method of Object.keys(methods)) {
        const answer = await call(server, {
          method: method.toUpperCase(),
          path: path.replaceAll(/\{\w+\}/g, 'x'),
          token: '',
        })
        if (path === '/healthz') expect(answer.status).toBe(200)
        else if (path === '/v1/join') expect(answer.json.code).toBe('invalid-request')
        else expect([401, 429]).toContain(answer.status)
      }
    }
  })

  test('a wrong token, another scheme and an unknown route without a token are all refused alike', async () => {
    const server = await anApiServer()
    expect((await call(server, { path: '/status', token: 'wrong' })).json.code).toBe('unauthorized')
    expect((await call(server, { path: '/v1/nowhere', token: '' })).status).toBe(401)
    expect((await call(server, { path: '//status', token: '' })).status).toBe(401)
    expect((await call(server, { path: '/healthz/../status', token: '' })).status).toBe(401)
  })

  test('an address with many wrong tokens is slowed down, and a right token passes all the same', async () => {
    const server = await anApiServer()
    let last = 0
    for (let index = 0; index < 25; index += 1) last = (await call(server, { path: '/status', token: 'wrong' })).status
    expect(last).toBe(429)
    expect((await call(server, { path: '/status' })).status).toBe(200)
  })

  test('TLS before 1.3 is refused', async () => {
    const { url } = await anApiServer()
    const error = await new Promise<string>((resolve) => {
      const socket = connect({
        host: '127.0.0.1',
        port: Number(new URL(url).port),
        maxVersion: 'TLSv1.2',
        rejectUnauthorized: false,
      })
      socket.once('secureConnect', () => resolve('connected'))
      socket.once('error', (failure: NodeJS.ErrnoException) => resolve(failure.code ?? failure.message))
    })
    expect(error).not.toBe('connected')
  })
})

describe('what is wrong is said as a problem document', () => {
  test('an unknown route', async () => {
    const answer = await call(await anApiServer(), { path: '/v1/nowhere' })
    expect(answer.status).toBe(404)
    expect(answer.headers['content-type']).toMatch(/^application\/problem\+json/)
    expect(answer.json).toEqual({
      type: 'urn:berth:error:not-found',
      title: 'not found',
      status: 404,
      detail: 'GET /v1/nowhere is no route; see /v1/openapi.json',
      code: 'not-found',
    })
  })

  test('a wrong field is named', async () => {
    const server = await anApiServer()
    const answer = await call(server, { method: 'POST', path: '/v1/services/shop_api/scale', body: { replicas: -1 } })
    expect([answer.status, answer.json.code]).toEqual([400, 'invalid-request'])
    expect(answer.json.detail).toBe('replicas must be >= 0')

    const broken = structuredClone(shop) as unknown as {
      services: { api: { task: { restart: { delayMs: unknown } } } }
    }
    broken.services.api.task.restart.delayMs = 'soon'
    const deploy = await call(server, { ...deployShop, body: broken })
    expect(deploy.json.detail).toBe('services.api.task.restart.delayMs must be integer')
  })

  test('an unknown or missing field and an unknown query parameter are refused, not ignored', async () => {
    const server = await anApiServer()
    const scale = { method: 'POST', path: '/v1/services/shop_api/scale' }
    const more = await call(server, { ...scale, body: { replicas: 1, force: true } })
    expect(more.json.detail).toBe('force is not a field that is known here')
    expect((await call(server, { ...scale, body: {} })).json.detail).toBe('replicas is missing')
    const query = await call(server, { path: '/v1/nodes?limt=3' })
    expect(query.json.detail).toBe('querystring: limt is not a field that is known here')
  })

  test('a name that no message to an agent can hold, and half of a character, are refused with their place', async () => {
    const server = await anApiServer()
    const withEnvironment = (members: string) => {
      const spec = aStackSpec('shop', { api: {} })
      return JSON.stringify(spec).replace('"environment":{', `"environment":{${members}`)
    }
    const deploy = async (members: string) =>
      (await call(server, { ...deployShop, body: undefined, raw: withEnvironment(members) })).json
    for (const key of ['__proto__', '\\u005f_proto__']) {
      expect(await deploy(`"${key}":"x"`)).toMatchObject({
        code: 'invalid-request',
        detail: 'services.api.task.container.environment.__proto__: __proto__ cannot be a name; choose another',
      })
    }
    expect((await deploy('"A":"\\ud83d"')).detail).toMatch(
      /^services\.api\.task\.container\.environment\.A: holds half/,
    )
    expect((await deploy('"A\\udc00":"x"')).code).toBe('invalid-request')
    const labels = { method: 'PUT', path: '/v1/nodes/n1/labels', raw: '{"set":{"__proto__":"x"}}' }
    expect((await call(server, labels)).json.detail).toBe('set.__proto__: __proto__ cannot be a name; choose another')
    expect(server.cluster.world.stacks.size).toBe(0)
    const fine = await call(server, {
      ...deployShop,
      body: undefined,
      raw: withEnvironment('"constructor":"x","A":"\\ud83d\\ude00"'),
    })
    expect(fine.status).toBe(200)
  })

  test('a body that is no JSON, one of another kind, and one that is too large', async () => {
    const server = await anApiServer()
    expect((await call(server, { ...deployShop, body: undefined, raw: '{' })).json.code).toBe('invalid-request')
    const kind = await call(server, { ...deployShop, body: undefined, raw: 'a: 1', contentType: 'application/yaml' })
    expect(kind.status).toBe(400)
    const large = await call(server, { ...deployShop, body: undefined, raw: `"${'x'.repeat(9 * 1024 * 1024)}"` }).catch(
      (error: NodeJS.ErrnoException) => error.code,
    )
    // The server answers and closes; a client that is still sending may see only the latter.
    if (typeof large === 'object') expect(large.json.code).toBe('too-large')
    else expect(['EPIPE', 'ECONNRESET']).toContain(large)
    expect((await call(server, { path: '/status' })).status).toBe(200)
  })

  test('what is not there has a code of its own, and a hint where the name is nearly right', async () => {
    const server = await anApiServer()
    await call(server, deployShop)
    const codeOf = async (path: string) => (await call(server, { path })).json.code
    expect(await codeOf('/v1/nodes/x')).toBe('node-not-found')
    expect(await codeOf('/v1/services/x')).toBe('service-not-found')
    expect(await codeOf('/v1/tasks/x')).toBe('task-not-found')
    expect(await codeOf('/v1/progress/x')).toBe('stack-not-found')
    expect(await codeOf('/v1/logs?stack=x')).toBe('stack-not-found')
    expect((await call(server, { path: '/v1/services/api' })).json.detail).toContain('did you mean shop_api?')
  })

  test('the name in the path must be the one in the body', async () => {
    const answer = await call(await anApiServer(), { ...deployShop, path: '/v1/stacks/other' })
    expect([answer.status, answer.json.code]).toEqual([400, 'invalid-request'])
  })
})

describe('a deployed stack', () => {
  test('is answered with its deployment and services, and followed to up by its progress', async () => {
    const server = await anApiServer()
    const answer = await call(server, deployShop)
    expect(answer.status).toBe(200)
    expect(Check(DeployAnswer, answer.json)).toBe(true)
    expect(answer.json).toMatchObject({ deployment: 1, services: ['shop_api', 'shop_web'], warnings: [] })
    const progress = await call(server, { path: '/v1/progress/shop' })
    const events = progress.text.split('\n\n').filter((part) => part.startsWith('event: '))
    expect(events.at(-1)).toMatch(/^event: done\n/)
    const done = JSON.parse(events.at(-1)!.split('data: ')[1]!)
    expect(done.outcome).toBe('up')
    expect(done.services.map((each: { good: number }) => each.good)).toEqual([3, 1])
  })

  test('shows in every list as its schema says', async () => {
    const server = await anApiServer()
    await call(server, deployShop)
    await call(server, { path: '/v1/progress/shop' })
    server.pause()
    const documents = [
      ['/status', StatusDocument],
      ['/v1/nodes', Page(NodeDocument)],
      ['/v1/nodes/n1', NodeDocument],
      ['/v1/stacks', Page(StackDocument)],
      ['/v1/services', Page(ServiceDocument)],
      ['/v1/services?stack=shop', Page(ServiceDocument)],
      ['/v1/services/shop_api', ServiceDetail],
      ['/v1/tasks', Page(TaskDocument)],
      ['/v1/tasks/shop_api.2', TaskDocument],
    ] as const
    for (const [path, schema] of documents) {
      const { json } = await call(server, { path })
      expect([path, Check(schema, json)]).toEqual([path, true])
    }
    const status = (await call(server, { path: '/status' })).json as unknown as StatusDocument
    expect(status.totals.tasks.running).toBe(4)
    expect(status.problems).toEqual([])
  })

  test('is listed in pages that together hold everything once', async () => {
    const server = await anApiServer()
    await call(server, deployShop)
    await call(server, { path: '/v1/progress/shop' })
    server.pause()
    const names: string[] = []
    let after = ''
    for (let pages = 0; pages < 4; pages += 1) {
      const { json } = await call(server, {
        path: `/v1/tasks?limit=2${after && `&after=${encodeURIComponent(after)}`}`,
      })
      const page = json as unknown as Page<TaskDocument>
      names.push(...page.items.map((task) => task.name))
      if (page.next === null) break
      after = page.next
    }
    expect(names).toEqual(['shop_api.1', 'shop_api.2', 'shop_api.3', 'shop_web.1'])
  })

  test('is scaled and removed, and its progress then ends with gone', async () => {
    const server = await anApiServer()
    await call(server, deployShop)
    const scale = await call(server, { method: 'POST', path: '/v1/services/shop_api/scale', body: { replicas: 5 } })
    expect(scale.status).toBe(200)
    await call(server, { path: '/v1/progress/shop' })
    const service = await call(server, { path: '/v1/services/shop_api' })
    expect(service.json.counts).toMatchObject({ wanted: 5, running: 5 })
    server.pause()
    expect((await call(server, { method: 'DELETE', path: '/v1/stacks/shop' })).status).toBe(200)
    const watchers = server.watchers
    const gone = call(server, { path: '/v1/progress/shop' })
    await until(() => server.watchers > watchers)
    server.resume()
    expect((await gone).text).toContain('"outcome":"gone"')
    expect((await call(server, { path: '/v1/stacks/shop', method: 'DELETE' })).json.code).toBe('stack-not-found')
  })
})

test('what is accepted and yet will not run as things are is answered with warnings', async () => {
  const server = await anApiServer()
  const constraints = [{ attribute: 'node.labels.disk', operator: '==' as const, value: 'ssd' }]
  const body = aStackSpec('shop', { api: { placement: { constraints } } })
  expect((await call(server, { ...deployShop, body })).json.warnings).toEqual([
    'shop_api: no node meets its constraints now; its tasks will wait until one does',
  ])
})

describe('nodes', () => {
  test('are drained, activated, labelled and removed', async () => {
    const server = await anApiServer()
    expect((await call(server, { method: 'POST', path: '/v1/nodes/n1/drain' })).status).toBe(200)
    expect((await call(server, { path: '/v1/nodes/n1' })).json.availability).toBe('drain')
    await call(server, { method: 'POST', path: '/v1/nodes/n1/activate' })
    await call(server, { method: 'PUT', path: '/v1/nodes/n1/labels', body: { set: { disk: 'ssd' } } })
    expect((await call(server, { path: '/v1/nodes/n1' })).json).toMatchObject({
      availability: 'active',
      labels: { disk: 'ssd' },
    })
    expect((await call(server, { method: 'DELETE', path: '/v1/nodes/nope' })).status).toBe(404)
  })

  test('are tainted and set, and what cannot be is refused', async () => {
    const server = await anApiServer()
    const taints = (body: object) => call(server, { method: 'PUT', path: '/v1/nodes/n1/taints', body })
    const set = (body: object) => call(server, { method: 'PATCH', path: '/v1/nodes/n1', body })
    const taint = { key: 'gpu', value: 'yes', effect: 'no-schedule' }
    expect((await taints({ set: [taint] })).status).toBe(200)
    expect((await set({ reserve: { memoryBytes: 1024 }, overcommit: { cpu: 2 } })).status).toBe(200)
    expect((await call(server, { path: '/v1/nodes/n1' })).json).toMatchObject({
      taints: [taint],
      reserve: { cpuCores: 0, memoryBytes: 1024, diskBytes: 0 },
      overcommit: { cpu: 2, memory: 1, disk: 1 },
      room: { cpuCores: 8 },
    })
    expect((await taints({ set: [{ ...taint, effect: 'sometimes' }] })).status).toBe(400)
    expect((await taints({})).json.detail).toMatch(/no taints of n1 are named/)
    expect((await set({ reserve: { cpuCores: -1 } })).status).toBe(400)
    expect((await set({ overcommit: { cpus: 2 } })).status).toBe(400)
  })
})

describe('streams', () => {
  test('logs are lines of JSON, after a first line that names the tasks', async () => {
    const server = await anApiServer()
    await call(server, deployShop)
    await call(server, { path: '/v1/progress/shop' })
    const { json } = await call(server, { path: '/v1/tasks/shop_web.1' })
    server.logs.set(json.id as string, ['one', 'two'])
    const { text } = await call(server, { path: '/v1/logs?service=shop_web' })
    const lines = text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(lines[0]).toEqual({ tasks: { [json.id as string]: 'shop_web.1' }, now: expect.any(Number) })
    expect(lines.slice(1, -1).map((line) => line.text)).toEqual(['one', 'two'])
    expect(lines.at(-1)).toEqual({ ended: 'complete' })
    expect((await call(server, { path: '/v1/logs' })).json.code).toBe('invalid-request')
  })

  test('JSON log lines are asked for by their fields, and told with fields and level to who wants them parsed', async () => {
    const server = await anApiServer()
    await call(server, deployShop)
    await call(server, { path: '/v1/progress/shop' })
    const { json } = await call(server, { path: '/v1/tasks/shop_web.1' })
    const slow = '{"level":"warn","status":503,"user":{"id":42}}'
    server.logs.set(json.id as string, ['{"status":200}', slow, 'status=503'])
    const lines = async (query: string) => {
      const { text } = await call(server, { path: `/v1/logs?service=shop_web&${query}` })
      return text
        .trimEnd()
        .split('\n')
        .slice(1, -1)
        .map((line) => JSON.parse(line))
    }
    expect((await lines('field=status%3E%3D500&field=user.id%3D42')).map(({ text }) => text)).toEqual([slow])
    const line = { task: json.id, at: expect.any(Number), source: 'stdout' }
    expect(await lines('parse=true')).toEqual([
      { ...line, text: '{"status":200}', fields: { status: 200 } },
      { ...line, text: slow, level: 'warn', fields: { level: 'warn', status: 503, user: { id: 42 } } },
      { ...line, text: 'status=503' },
    ])
    const { json: refused } = await call(server, { path: '/v1/logs?service=shop_web&field=status%3E%3Dhigh' })
    expect([refused.code, refused.detail]).toEqual(['invalid-request', expect.stringContaining('"high" is none')])
  })

  test('live events begin behind the one asked for, and the server lets go of them when it stops', async () => {
    const server = await anApiServer()
    const at = Date.UTC(2026, 10, 23)
    for (const message of ['one', 'two']) server.tell({ at, kind: 'test', level: 'info', message })
    const answer = call(server, { path: '/v1/events/live?after=1' })
    await new Promise((resolve) => setTimeout(resolve, 100))
    server.tell({ at, kind: 'test', level: 'info', message: 'three' })
    await new Promise((resolve) => setTimeout(resolve, 100))
    await server.close()
    const { text } = await answer
    expect(text.match(/"message":"\w+"/g)).toEqual(['"message":"two"', '"message":"three"'])
    expect(text).toContain('id: 3\nevent: event\n')
  })
})

describe('tokens', () => {
  test('a rotated operator token takes over from the one before', async () => {
    const server = await anApiServer()
    const { json } = await call(server, { method: 'POST', path: '/v1/tokens', body: { rotate: 'operator' } })
    expect((await call(server, { path: '/status' })).status).toBe(401)
    expect((await call(server, { path: '/status', token: json.token as string })).status).toBe(200)
  })

  test('a rotated operator token ends the streams that were opened with the one before', async () => {
    const server = await anApiServer()
    const following = call(server, { path: '/v1/events/live' })
    await until(() => server.listeners > 0)
    await call(server, { method: 'POST', path: '/v1/tokens', body: { rotate: 'join' } })
    expect(server.listeners).toBe(1)
    await call(server, { method: 'POST', path: '/v1/tokens', body: { rotate: 'operator' } })
    expect((await following).status).toBe(200)
    await until(() => server.listeners === 0)
  })

  test('the join line pins the server and keeps the token out of every argument', async () => {
    const server = await anApiServer()
    const { json } = await call(server, { path: '/v1/tokens' })
    expect(json.command).toContain(`--pinnedpubkey '${server.security.serverKeyPin}'`)
    expect(json.command).toContain(`BERTH_JOIN_TOKEN=${json.join} sudo --preserve-env=BERTH_JOIN_TOKEN sh -s -- join`)
  })
})

test('the cluster’s settings are changed one by one, and unknown ones refused', async () => {
  const server = await anApiServer()
  const patch = (body: object) => call(server, { method: 'PATCH', path: '/v1/cluster', body })
  expect((await patch({ policy: 'binpack' })).status).toBe(200)
  expect((await patch({ preemption: false })).status).toBe(200)
  expect((await call(server, { path: '/v1/cluster' })).json).toMatchObject({
    cluster: 'berth-test',
    settings: { policy: 'binpack', survive: 'nothing', preemption: false },
  })
  expect((await patch({ policy: 'best' })).status).toBe(400)
  expect((await patch({ policies: 'binpack' })).status).toBe(400)
  expect((await patch({})).json.detail).toMatch(/no setting of the cluster is named/)
})
