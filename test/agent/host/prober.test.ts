import { createServer as createHttpServer } from 'node:http'
import { constants, createServer as createHttp2Server } from 'node:http2'
import { type AddressInfo, createServer as createTcpServer, type Server } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { checkRequest, probeOnce, servingStatus } from '../../../agent/host/prober.ts'
import { systemClock } from '../../../shared/clock.ts'
import type { HealthProbe } from '../../../shared/spec.ts'

const closing: (() => void)[] = []
afterEach(() => {
  for (const close of closing.splice(0)) close()
})

function listening(server: Pick<Server, 'listen' | 'close' | 'address'>): Promise<number> {
  closing.push(() => server.close())
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port)))
}
const http = (path: string, more = {}): HealthProbe['test'] => ({ kind: 'http', path, scheme: 'http', ...more })
async function said(test: HealthProbe['test'], port: number, timeoutMs = 5_000): Promise<[boolean, string]> {
  const timings = { intervalMs: 1, retries: 1, startPeriodMs: 0, startIntervalMs: 1 }
  const probe = { test, port, timeoutMs, ...timings }
  const target = { host: '127.0.0.1', port }
  const { ok, message } = await probeOnce(probe, target, systemClock, new AbortController().signal)
  return [ok, message.replaceAll(String(port), 'PORT')]
}

test('http: 200 to 399 is healthy, or the one status that is named; what else came is told with its beginning', async () => {
  const port = await listening(
    createHttpServer((request, response) => {
      response
        .writeHead(Number(request.url!.slice(1)), { location: '/' })
        .end(`no database for ${request.headers.host}`)
    }),
  )
  expect(await said(http('/204'), port)).toEqual([true, 'GET http://127.0.0.1:PORT/204 → 204'])
  expect(await said(http('/302'), port)).toEqual([true, 'GET http://127.0.0.1:PORT/302 → 302'])
  expect(await said(http('/500', { host: 'shop.example' }), port)).toEqual([
    false,
    'GET http://127.0.0.1:PORT/500 → 500: no database for shop.example',
  ])
  expect((await said(http('/401', { status: 401 }), port))[0]).toBe(true)
  expect((await said(http('/200', { status: 401 }), port))[0]).toBe(false)
})

test('http: of an answer without an end only the beginning is read', async () => {
  const port = await listening(
    createHttpServer((_request, response) => {
      response.writeHead(500)
      const more = () => response.writable && response.write('x'.repeat(10_000), more)
      more()
    }),
  )
  const [ok, message] = await said(http('/'), port)
  expect([ok, message.endsWith(` → 500: ${'x'.repeat(200)}`)]).toEqual([false, true])
})

test('nothing that listens, and something that listens and says nothing, are each told', async () => {
  const port = await listening(createTcpServer(() => {}))
  expect(await said({ kind: 'tcp' }, port)).toEqual([true, 'connect to 127.0.0.1:PORT → connected'])
  expect(await said(http('/'), port, 50)).toEqual([false, 'GET http://127.0.0.1:PORT/ → no answer within 50 ms'])
  expect((await said({ kind: 'grpc', service: '' }, port, 50))[0]).toBe(false)
  for (const close of closing.splice(0)) close()
  expect(await said({ kind: 'tcp' }, port)).toEqual([
    false,
    'connect to 127.0.0.1:PORT → connection refused: nothing listens there',
  ])
})

test('grpc: SERVING is healthy; another status, another answer of gRPC and another protocol are not', async () => {
  const server = createHttp2Server()
  server.on('stream', (stream) => {
    const parts: Buffer[] = []
    stream.on('data', (part: Buffer) => parts.push(part))
    stream.on('end', () => {
      const service = Buffer.concat(parts).subarray(7).toString()
      const isKnown = service !== 'unknown'
      stream.respond(
        { [constants.HTTP2_HEADER_STATUS]: 200, 'content-type': 'application/grpc' },
        { waitForTrailers: true },
      )
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': isKnown ? '0' : '5' }))
      if (isKnown) stream.write(Buffer.from([0, 0, 0, 0, 2, 8, service === 'shop.Cart' ? 2 : 1]))
      stream.end()
    })
  })
  const port = await listening(server)
  const of = (service: string) => said({ kind: 'grpc', service }, port)
  expect(await of('')).toEqual([true, 'grpc health of the server at 127.0.0.1:PORT → SERVING'])
  expect(await of('shop.Cart')).toEqual([false, 'grpc health of shop.Cart at 127.0.0.1:PORT → NOT_SERVING'])
  expect(await of('unknown')).toEqual([false, 'grpc health of unknown at 127.0.0.1:PORT → grpc status 5'])
  const plain = await listening(createHttpServer((_request, response) => void response.end('hello')))
  expect(await said({ kind: 'grpc', service: '' }, plain)).toEqual([
    false,
    'grpc health of the server at 127.0.0.1:PORT → what answers does not speak gRPC (HTTP/2 in clear)',
  ])
})

test('https: a port that speaks no TLS is told in words, and a page in one line', async () => {
  const port = await listening(
    createHttpServer((_request, response) => void response.writeHead(404).end('<h1>\n  No\n</h1>\n')),
  )
  expect(await said(http('/', { scheme: 'https' }), port)).toEqual([
    false,
    'GET https://127.0.0.1:PORT/ → no TLS could be agreed on: wrong version number',
  ])
  expect(await said(http('/'), port)).toEqual([false, 'GET http://127.0.0.1:PORT/ → 404: <h1> No </h1>'])
})

test('the messages of gRPC are those of its definition', () => {
  expect([...checkRequest('')]).toEqual([0, 0, 0, 0, 0])
  expect([...checkRequest('ab')]).toEqual([0, 0, 0, 0, 4, 0x0a, 2, 97, 98])
  expect(servingStatus(Buffer.from([0, 0, 0, 0, 0]))).toBe(0)
})
