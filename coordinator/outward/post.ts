/**
 * One POST to somebody else's server, bounded in time and in what is read of the answer. Redirects are not followed: wherever
 * one would lead, nobody has allowed us to send it there. What it throws names neither URL nor headers, which hold secrets.
 */
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import { BerthError } from '../../shared/errors.ts'

export type PostTo = {
  /** As messages name it: `receiver ops`. */
  who: string
  url: string
  headers: Record<string, string>
  /** Absent: Node's own, with the usual authorities. */
  agent?: HttpAgent | HttpsAgent
}

export type PostAnswer = { status: number; retryAfter: string | undefined; text: string }

/** Of an answer, which may never end. */
const ANSWER_BYTES_MAX = 16 * 1024

/** Of one target: connections are kept, and `ca` (PEM) is trusted in place of the usual authorities. */
export function keptConnections(url: string, ca: string | undefined): HttpAgent | HttpsAgent {
  const kept = { keepAlive: true, maxSockets: 2, maxFreeSockets: 1, timeout: 60_000 }
  return url.startsWith('https:') ? new HttpsAgent({ ...kept, ...(ca !== undefined && { ca }) }) : new HttpAgent(kept)
}

/** @throws BerthError `timed-out` after `limitMs`, or `unreachable` */
export async function post(
  to: PostTo,
  body: string | Buffer,
  signal: AbortSignal,
  limitMs: number,
): Promise<PostAnswer> {
  const limit = AbortSignal.timeout(limitMs)
  const either = AbortSignal.any([signal, limit])
  try {
    return await once(to, body, either)
  } catch (error) {
    if (limit.aborted) throw new BerthError('timed-out', `${to.who} has not answered within ${limitMs / 1000} s`)
    throw new BerthError('unreachable', `${to.who} cannot be reached (${reasonOf(error)})`)
  }
}

/** A kept connection that the server ended while it was idle is tried anew: nothing of the request was read there. */
async function once(to: PostTo, body: string | Buffer, signal: AbortSignal): Promise<PostAnswer> {
  try {
    return await answerOf(to, body, signal)
  } catch (error) {
    if (!(error instanceof StaleConnection)) throw error
    return answerOf(to, body, signal)
  }
}

class StaleConnection extends Error {
  readonly code = 'ECONNRESET'
}

function answerOf({ url, headers, agent }: PostTo, body: string | Buffer, signal: AbortSignal): Promise<PostAnswer> {
  return new Promise((resolve, reject) => {
    const send = url.startsWith('https:') ? httpsRequest : httpRequest
    const request = send(url, {
      method: 'POST',
      headers: { ...headers, 'content-length': Buffer.byteLength(body) },
      ...(agent !== undefined && { agent }),
      signal,
    })
    request.once('response', (response) => resolve(readAnswer(response)))
    // It stays: the signal may end the request when we have what we want.
    request.on('error', (error: NodeJS.ErrnoException) => {
      const isStale = request.reusedSocket && error.code === 'ECONNRESET'
      reject(isStale ? new StaleConnection() : error)
    })
    request.end(body)
  })
}

/** The status says what counts: an answer that is cut off, or too long, has said it. */
async function readAnswer(response: IncomingMessage): Promise<PostAnswer> {
  const { statusCode = 0, headers } = response
  const chunks: Buffer[] = []
  let length = 0
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      chunks.push(chunk)
      length += chunk.length
      if (length >= ANSWER_BYTES_MAX) break
    }
  } catch {}
  return {
    status: statusCode,
    retryAfter: headers['retry-after'],
    text: Buffer.concat(chunks).toString('utf8', 0, ANSWER_BYTES_MAX),
  }
}

/** The code alone: messages name hosts and paths. */
function reasonOf(error: unknown): string {
  const { code } = error as { code?: unknown }
  return typeof code === 'string' ? code : 'no connection'
}
