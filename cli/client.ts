/** The HTTP API as the command line uses it: node:https, the pinned CA, errors as sentences. */
import type { IncomingMessage } from 'node:http'
import { Agent, request } from 'node:https'
import type { ProblemDocument } from '../shared/api.ts'
import { BerthError, ERROR_CODES, type ErrorCode } from '../shared/errors.ts'
import type { Connection } from './config.ts'
import { connectionError } from './connection-error.ts'

const answerTimeoutMs = 30_000
/** Servers show signs of life on streams every 15 s; after twice that and some the line is dead. */
const SILENCE_MAX_MS = 40_000
const answerBytesMax = 256 * 1024 * 1024

export type Query = Record<string, string | number | boolean | string[] | undefined>
export type ServerEvent = { event: string; data: unknown }

export type Client = ReturnType<typeof createClient>

/** `silenceMaxMs` is for tests. */
export function createClient(connection: Connection, { silenceMaxMs = SILENCE_MAX_MS } = {}) {
  const base = parseUrl(connection.url)
  const agent = new Agent({ keepAlive: true, ...(connection.ca === null ? {} : { ca: connection.ca }) })

  /** @throws BerthError what the coordinator answered, or `unreachable`, `timed-out`, `certificate-mismatch` */
  async function ask<Answer>(method: string, path: string, query: Query = {}, body?: unknown): Promise<Answer> {
    const answer = await send(method, path, query, { body, timeoutMs: answerTimeoutMs })
    const text = await readAll(answer)
    return parseJson(text) as Answer
  }

  /** A stream's bytes as lines, as many as come at once, until it ends or `signal` is aborted. A body makes it a POST. */
  async function* lines(path: string, query: Query, signal?: AbortSignal, body?: unknown): AsyncIterable<string[]> {
    const method = body === undefined ? 'GET' : 'POST'
    const answer = await send(method, path, query, { timeoutMs: silenceMaxMs, body, ...(signal && { signal }) })
    let rest = ''
    try {
      for await (const chunk of answer.setEncoding('utf8') as AsyncIterable<string>) {
        const parts = (rest + chunk).split('\n')
        rest = parts.pop() ?? ''
        yield parts
      }
      if (rest !== '') yield [rest]
    } catch (error) {
      if (!signal?.aborted) throw connectionError(error, connection.url)
    } finally {
      answer.destroy()
    }
  }

  async function send(method: string, path: string, query: Query, options: SendOptions): Promise<IncomingMessage> {
    const answer = await begin(method, path, query, options)
    if (answer.statusCode !== undefined && answer.statusCode < 400) return answer
    throw problemError(await readAll(answer), answer.statusCode ?? 0)
  }

  function begin(method: string, path: string, query: Query, options: SendOptions): Promise<IncomingMessage> {
    const payload = options.body === undefined ? undefined : JSON.stringify(options.body)
    const headers: Record<string, string | number> = { authorization: `Bearer ${connection.token}` }
    if (payload !== undefined) {
      headers['content-type'] = 'application/json'
      headers['content-length'] = Buffer.byteLength(payload)
    }
    return new Promise((resolve, reject) => {
      const url = new URL(path, base)
      url.search = searchOf(query)
      const call = request(url, { method, headers, agent, ...(options.signal && { signal: options.signal }) }, resolve)
      call.setTimeout(options.timeoutMs, () => {
        call.destroy(new BerthError('timed-out', `the coordinator at ${connection.url} does not answer`))
      })
      call.on('error', (error) => reject(connectionError(error, connection.url)))
      call.end(payload)
    })
  }

  async function readAll(answer: IncomingMessage): Promise<string> {
    let text = ''
    try {
      for await (const chunk of answer.setEncoding('utf8') as AsyncIterable<string>) {
        text += chunk
        if (text.length > answerBytesMax) throw new BerthError('too-large', 'the answer is larger than 256 MiB')
      }
    } catch (error) {
      throw connectionError(error, connection.url)
    }
    return text
  }

  return {
    url: connection.url,
    get: <Answer>(path: string, query?: Query) => ask<Answer>('GET', path, query),
    post: <Answer>(path: string, body?: unknown) => ask<Answer>('POST', path, {}, body),
    put: <Answer>(path: string, body: unknown, query?: Query) => ask<Answer>('PUT', path, query, body),
    patch: <Answer>(path: string, body: unknown) => ask<Answer>('PATCH', path, {}, body),
    delete: <Answer>(path: string) => ask<Answer>('DELETE', path),
    lines,
    /** The answer's bytes as they come. The caller reads them to their end. */
    download: (path: string) => send('GET', path, {}, { timeoutMs: answerTimeoutMs }),
    /** Server-sent events, until the stream ends or `signal` is aborted. */
    async *events(path: string, query: Query = {}, signal?: AbortSignal): AsyncIterable<ServerEvent> {
      let event = 'message'
      for await (const some of lines(path, query, signal)) {
        for (const line of some) {
          if (line.startsWith('event: ')) event = line.slice(7)
          else if (line.startsWith('data: ')) yield { event, data: parseJson(line.slice(6)) }
          else if (line === '') event = 'message'
        }
      }
    },
    close: () => agent.destroy(),
  }
}

type SendOptions = { body?: unknown; timeoutMs: number; signal?: AbortSignal }

/** Puts a name into a path. */
export function segment(name: string): string {
  return encodeURIComponent(name)
}

function parseUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : null
  if (url?.protocol === 'https:') return url
  throw new BerthError(
    'invalid-request',
    `"${text}" is not the URL of a coordinator; write it like https://10.0.0.5:23784`,
  )
}

function searchOf(query: Query): string {
  const search = new URLSearchParams()
  for (const [key, value] of Object.entries(query)) {
    for (const each of Array.isArray(value) ? value : [value]) if (each !== undefined) search.append(key, String(each))
  }
  return search.toString()
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new BerthError('failed', 'the answer is not from a Berth coordinator: it is not JSON', { cause })
  }
}

function problemError(text: string, status: number): BerthError {
  try {
    const {
      code,
      detail,
      type: _type,
      title: _title,
      status: _status,
      ...details
    } = JSON.parse(text) as ProblemDocument
    if (isErrorCode(code)) return new BerthError(code, detail, { details })
  } catch {
    // Not a problem document: told as it is.
  }
  return new BerthError('failed', `the coordinator answered with status ${status}: ${text.slice(0, 200)}`)
}

export function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(ERROR_CODES, code)
}
