/** A whole coordinator, as it is run, from outside: what is answered to whom. The routes are read from what it says of itself. */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { request as httpRequest } from 'node:http'
import { request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { runCoordinator } from '../../../coordinator/main.ts'
import { coordinatorOptions } from '../../../coordinator/options.ts'
import { call } from '../../build/https-call.ts'

type Server = { url: string; ca: string; token: string }

/** Everything that may be had without the operator's token, each by just these methods. */
const PUBLIC: Record<string, string[]> = {
  '/healthz': ['GET', 'HEAD'],
  '/install.sh': ['GET', 'HEAD'],
  '/v1/agent-bundle.sha256': ['GET', 'HEAD'],
  '/v1/agent-bundle.tar.gz': ['GET', 'HEAD'],
  '/v1/join': ['POST'],
}
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'PROPFIND']
const WRONG_TOKENS = ['', 'wrong', 'berth-op-', `berth-op-${'A'.repeat(43)}`]

const stop = new AbortController()
let server: Server
let ended: Promise<void>
let dataDir: string

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'berth-test-'))
  const options = { dataDir, host: '127.0.0.1', port: 0, advertise: ['127.0.0.1'], logLevel: 'silent' as const }
  const coordinator = await runCoordinator(coordinatorOptions(options), stop.signal)
  ended = coordinator.ended
  const token = (await readFile(`${dataDir}/security/operator-token`, 'utf8')).trim()
  server = { url: coordinator.url, token, ca: await readFile(`${dataDir}/security/ca.pem`, 'utf8') }
})
afterAll(async () => {
  stop.abort()
  await ended
  await rm(dataDir, { recursive: true, force: true })
})

async function routesTold(): Promise<{ path: string; method: string }[]> {
  const { json } = await call(server, { path: '/v1/openapi.json' })
  return Object.entries(json.paths as Record<string, object>).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => ({ path, method: method.toUpperCase() })),
  )
}

const isPublic = (path: string, method: string) => PUBLIC[path]?.includes(method) === true

describe('without the token, or with a wrong one', () => {
  test('no route is served but those that must be, by whatever method', async () => {
    const told = await routesTold()
    const paths = [...new Set([...told.map(({ path }) => path), '/metrics', '/v1/openapi.json', '/v1/agent'])]
    expect(paths.length).toBeGreaterThan(20)
    const served: string[] = []
    for (const path of paths) {
      for (const method of METHODS) {
        for (const token of WRONG_TOKENS) {
          if (isPublic(path, method)) continue
          const { status } = await call(server, { method, path: path.replaceAll(/{\w+}/g, 'x'), token })
          if (status !== 401 && status !== 429) served.push(`${method} ${path} ${token} → ${status}`)
        }
      }
    }
    expect(served).toEqual([])
  })

  test('what is public is nothing else than what the documents say is', async () => {
    const told = await routesTold()
    const open = told.filter(({ path, method }) => isPublic(path, method)).map(({ path }) => path)
    expect(open.sort()).toEqual(Object.keys(PUBLIC).sort())
  })

  test.each([
    '/',
    '//status',
    '/./status',
    '/healthz/../status',
    '/healthz/',
    '/HEALTHZ',
    '/%68ealthz/..%2fstatus',
    '/install.sh/../../etc/passwd',
    '/v1/agent-bundle',
    '/v1/agent-bundle.tar.gz/..',
    '/v1/agent-bundle.tar.gz%2f..%2f..%2fstore%2fstore.mdb',
    '/v1/agent-bundle.pem',
    '/v1/join/x',
    '/status;/healthz',
    '/status%00/healthz',
    '/v1/nodes/%2e%2e%2fhealthz',
    '/favicon.ico',
    '/v1/%zz',
  ])('the path %s is not served', async (path) => {
    const { status, text } = await call(server, { path, token: '' })
    expect([400, 401, 429]).toContain(status)
    expect(text).not.toMatch(/root:|cluster|node_modules/)
  })

  test.each(['/v1/agent', '/status', '/v1/events/live', '/', '/healthz'])(
    'no websocket opens at %s, whatever the token',
    async (path) => {
      for (const token of ['', server.token]) {
        const answered = await upgrade(path, token)
        expect(answered).toMatch(/^(401|404)$/)
      }
    },
  )

  test('the bundle takes no other parameter than the processor, and no other processor than the two', async () => {
    for (const query of ['arch=../../etc', 'arch=x64&path=/etc/passwd', 'arch=x64%00', 'arch[]=x64', '__proto__=x']) {
      const { status } = await call(server, { path: `/v1/agent-bundle.sha256?${query}`, token: '' })
      expect([query, status]).toEqual([query, 400])
    }
  })

  test('nothing speaks plain http on the port', async () => {
    const { port } = new URL(server.url)
    const answered = await new Promise<string>((resolve) => {
      const asking = httpRequest({ host: '127.0.0.1', port, path: '/healthz' }, (answer) =>
        resolve(`${answer.statusCode}`),
      )
      asking.on('error', () => resolve('nothing'))
      asking.end()
    })
    expect(answered).toBe('nothing')
  })
})

describe('bad input', () => {
  test('of JSON that would reach into every object is refused', async () => {
    for (const raw of ['{"__proto__":{"admin":true}}', '{"constructor":{"prototype":{"admin":true}}}']) {
      const { status, json } = await call(server, { method: 'POST', path: '/v1/tokens', raw })
      expect([status, json.code]).toEqual([400, 'invalid-request'])
    }
    expect('admin' in {}).toBe(false)
  })

  test('of JSON that is nested thousands deep is refused before it costs anything, of strangers too', async () => {
    const raw = '['.repeat(32_000) + ']'.repeat(32_000)
    const startedAt = performance.now()
    const { status, json } = await call(server, { method: 'POST', path: '/v1/join', token: '', raw })
    expect([status, json.detail]).toEqual([400, 'the body: is nested deeper than 64'])
    // It took nine seconds, in which nobody else was answered.
    expect(performance.now() - startedAt).toBeLessThan(3_000)
  })

  test('in a path has a problem document, too', async () => {
    const bad = await call(server, { path: '/v1/%zz' })
    expect([bad.status, bad.json.code, bad.headers['content-type']]).toEqual([
      400,
      'invalid-request',
      expect.stringContaining('application/problem+json'),
    ])
  })

  test('a name is as long as names may be, and one that is longer says so', async () => {
    const long = await call(server, { path: `/v1/services/${'x'.repeat(200)}` })
    expect([long.status, long.json.code]).toEqual([404, 'service-not-found'])
    const tooLong = await call(server, { path: `/v1/services/${'x'.repeat(300)}` })
    expect([tooLong.status, tooLong.json.code]).toEqual([400, 'invalid-request'])
  })
})

function upgrade(path: string, token: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const headers = {
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
      ...(token && { authorization: `Bearer ${token}` }),
    }
    const asking = request(server.url, { path, headers, ca: server.ca, agent: false })
    asking.on('response', (answer) => {
      answer.resume()
      resolve(String(answer.statusCode))
    })
    asking.on('upgrade', () => resolve('upgraded'))
    asking.on('error', reject)
    asking.end()
  })
}

describe('with a read-only token', () => {
  /** Everything that it may read, and nothing of it otherwise than by GET or HEAD. */
  const READ = [
    ...['/metrics', '/status', '/v1/alerts', '/v1/discovery/prometheus', '/v1/events', '/v1/events/live'],
    ...['/v1/metrics', '/v1/metrics/names', '/v1/nodes', '/v1/nodes/{name}', '/v1/progress/{stack}', '/v1/services'],
    ...['/v1/stacks', '/v1/tasks', '/v1/tasks/{name}', '/v1/top'],
  ]

  test('nothing is served but what it may read', async () => {
    const made = await call(server, { method: 'POST', path: '/v1/tokens/readers', body: { name: 'walker' } })
    const token = made.json.token as string
    expect(made.headers['cache-control']).toBe('no-store')
    const told = await routesTold()
    const paths = [...new Set([...told.map(({ path }) => path), '/metrics', '/v1/openapi.json'])]
    const served = new Set<string>()
    for (const path of paths) {
      // This one answers for as long as anybody listens.
      if (path === '/v1/events/live') continue
      for (const method of METHODS) {
        if (isPublic(path, method)) continue
        const { status } = await call(server, { method, path: path.replaceAll(/{\w+}/g, 'x'), token })
        if ([401, 403, 404, 429].includes(status) && !READ.includes(path)) continue
        if (method !== 'GET' && method !== 'HEAD') expect([401, 403, 404, 429], `${method} ${path}`).toContain(status)
        else served.add(path)
      }
    }
    expect([...served].sort()).toEqual(READ.filter((path) => path !== '/v1/events/live').sort())
  })

  test('taken back it is a wrong one, and its name is free again', async () => {
    const path = '/v1/tokens/readers'
    const { json } = await call(server, { method: 'POST', path, body: { name: 'grafana' } })
    const token = json.token as string
    expect((await call(server, { path: '/status', token })).status).toBe(200)
    expect((await call(server, { method: 'POST', path, body: { name: 'grafana' } })).json.code).toBe('name-taken')
    expect((await call(server, { method: 'POST', path, body: { name: 'operator' } })).status).toBe(400)
    expect((await call(server, { path })).text).not.toContain(token)
    expect(await readFile(`${dataDir}/security/tokens.json`, 'utf8')).not.toContain(token)
    expect((await call(server, { method: 'DELETE', path: `${path}/grafana` })).status).toBe(200)
    expect([401, 429]).toContain((await call(server, { path: '/status', token })).status)
    expect((await call(server, { method: 'DELETE', path: `${path}/grafana` })).json.code).toBe('not-found')
    expect((await call(server, { method: 'POST', path, body: { name: 'grafana' } })).status).toBe(200)
  })
})
