/** Makes one probe: connects, asks, and says what came of it. Knows nothing of what is made of the answer. */
import { request as httpRequest } from 'node:http'
import { connect as connectHttp2, constants } from 'node:http2'
import { request as httpsRequest } from 'node:https'
import { connect as connectTcp } from 'node:net'
import type { Clock } from '../../shared/clock.ts'
import type { HealthProbe } from '../../shared/spec.ts'
import { wellFormedBrief } from '../../shared/text.ts'
import { type ProbeOutcome, printProbe } from '../decide/probe.ts'

/** Of an answer's body so much is told, and no more is read. */
const BODY_CHARS_MAX = 200
const STATUS_NAMES = ['UNKNOWN', 'SERVING', 'NOT_SERVING', 'SERVICE_UNKNOWN']
const SERVING = 1
const GRPC_ANSWER_BYTES_MAX = 4096

/** What was found: for people, e.g. `GET http://10.0.0.2/healthz → 500: no database`. Rejects with why not. */
type Answer = { ok: boolean; said: string }

/** Never rejects: what goes wrong is the outcome. Ends within the probe's timeout. */
export async function probeOnce(
  probe: HealthProbe,
  target: { host: string; port: number },
  clock: Pick<Clock, 'now'>,
  signal: AbortSignal,
): Promise<ProbeOutcome> {
  const startedAt = clock.now()
  const asked = printProbe({ ...probe, port: target.port }, target.host)
  const end = (ok: boolean, said: string): ProbeOutcome => ({
    ok,
    // One line, whatever a page is made of.
    message: wellFormedBrief(`${asked} → ${said.replaceAll(/\s+/g, ' ').trim()}`, 1024),
    startedAt,
    endedAt: clock.now(),
  })
  const limit = AbortSignal.timeout(probe.timeoutMs)
  try {
    const { ok, said } = await ask(probe, target, AbortSignal.any([signal, limit]))
    return end(ok, said)
  } catch (error) {
    if (limit.aborted) return end(false, `no answer within ${probe.timeoutMs} ms`)
    return end(false, wordsOf(error as NodeJS.ErrnoException))
  }
}

function wordsOf({ code = '', message }: NodeJS.ErrnoException): string {
  // `write EPROTO 40FD…:error:0A00010B:SSL routines:tls_validate_record_header:wrong version number:../deps/openssl/…`
  const tls = /SSL routines:[^:]*:([^:]+)/.exec(message)?.[1]
  return WORDS[code] ?? (tls === undefined ? message : `no TLS could be agreed on: ${tls}`)
}

const WORDS: Record<string, string> = {
  ECONNREFUSED: 'connection refused: nothing listens there',
  ECONNRESET: 'the connection was reset',
  EHOSTUNREACH: 'the host is not reachable',
  ERR_HTTP2_ERROR: 'what answers does not speak gRPC (HTTP/2 in clear)',
}

function ask(probe: HealthProbe, target: { host: string; port: number }, signal: AbortSignal): Promise<Answer> {
  const { test } = probe
  if (test.kind === 'tcp') return askTcp(target, signal)
  return test.kind === 'grpc' ? askGrpc(target, test.service, signal) : askHttp(target, test, signal)
}

function askTcp({ host, port }: { host: string; port: number }, signal: AbortSignal): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const socket = connectTcp({ host, port, signal })
    socket.once('error', reject)
    socket.once('connect', () => {
      resolve({ ok: true, said: 'connected' })
      socket.destroy()
    })
  })
}

/** Redirects are not followed: that there is one is the answer. */
function askHttp(
  { host, port }: { host: string; port: number },
  test: Extract<HealthProbe['test'], { kind: 'http' }>,
  signal: AbortSignal,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const headers = { 'user-agent': 'berth-probe', connection: 'close', ...(test.host && { host: test.host }) }
    const options = { host, port, path: test.path, headers, agent: false, signal, setHost: !test.host }
    // The certificate names the service, not the address that is asked here; that it answers is what is asked.
    const request =
      test.scheme === 'https' ? httpsRequest({ ...options, rejectUnauthorized: false }) : httpRequest(options)
    request.once('error', reject)
    request.once('response', (response) => {
      const status = response.statusCode ?? 0
      const ok = test.status === undefined ? status >= 200 && status < 400 : status === test.status
      let body = ''
      const done = () => {
        resolve({ ok, said: ok || body.trim() === '' ? String(status) : `${status}: ${body.trim()}` })
        request.destroy()
      }
      if (ok) return done()
      response.setEncoding('utf8')
      response.on('data', (part: string) => {
        body = (body + part).slice(0, BODY_CHARS_MAX)
        if (body.length === BODY_CHARS_MAX) done()
      })
      response.once('end', done)
      response.once('error', done)
    })
    request.end()
  })
}

/**
 * grpc.health.v1.Health/Check in clear (h2c). One request of one text field, one answer of one number: written by hand rather than
 * with a library for it. https://github.com/grpc/grpc/blob/master/doc/health-checking.md
 */
function askGrpc(
  { host, port }: { host: string; port: number },
  service: string,
  signal: AbortSignal,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const session = connectHttp2(`http://${host.includes(':') ? `[${host}]` : host}:${port}`)
    const onAbort = () => session.destroy(new Error('given up'))
    signal.addEventListener('abort', onAbort, { once: true })
    const finish = (act: () => void) => {
      signal.removeEventListener('abort', onAbort)
      act()
      session.destroy()
    }
    session.once('error', (error) => finish(() => reject(error)))
    session.once('close', () => finish(() => reject(new Error('the connection was closed'))))
    const stream = session.request({
      [constants.HTTP2_HEADER_METHOD]: 'POST',
      [constants.HTTP2_HEADER_PATH]: '/grpc.health.v1.Health/Check',
      'content-type': 'application/grpc',
      te: 'trailers',
    })
    let status: string | undefined
    let body: Buffer = Buffer.alloc(0)
    const read = (headers: Record<string, unknown>) => {
      if (headers['grpc-status'] !== undefined) status = String(headers['grpc-status'])
      const httpStatus = headers[constants.HTTP2_HEADER_STATUS]
      if (httpStatus !== undefined && httpStatus !== 200) finish(() => reject(new Error(`HTTP status ${httpStatus}`)))
    }
    stream.on('response', read)
    stream.on('trailers', read)
    stream.on('data', (part: Buffer) => {
      body = Buffer.concat([body, part])
      if (body.length > GRPC_ANSWER_BYTES_MAX) finish(() => reject(new Error('the answer is too long')))
    })
    stream.once('error', (error) => finish(() => reject(error)))
    stream.once('end', () => {
      if (status !== undefined && status !== '0')
        return finish(() => resolve({ ok: false, said: `grpc status ${status}` }))
      const found = servingStatus(body)
      finish(() => resolve({ ok: found === SERVING, said: STATUS_NAMES[found] ?? `status ${found}` }))
    })
    stream.end(checkRequest(service))
  })
}

/** Length-prefixed message: no compression, four bytes of length, field 1 of kind text. */
export function checkRequest(service: string): Buffer {
  const name = Buffer.from(service)
  const message = name.length === 0 ? name : Buffer.concat([Buffer.from([0x0a, ...varint(name.length)]), name])
  const head = Buffer.alloc(5)
  head.writeUInt32BE(message.length, 1)
  return Buffer.concat([head, message])
}

/** Field 1, a number; absent means 0, as everywhere in protobuf. */
export function servingStatus(body: Buffer): number {
  return body[5] === 0x08 ? (body[6] ?? 0) : 0
}

function varint(value: number): number[] {
  return value < 128 ? [value] : [(value & 127) | 128, ...varint(value >>> 7)]
}
