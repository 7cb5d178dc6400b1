/**
 * Joining: the host knows of the cluster only its token. It lets the other side of the TLS connection show a certificate that
 * the token's CA has signed for a server, and says nothing, least of all the token's secret, before it has.
 */
import { X509Certificate } from 'node:crypto'
import { request } from 'node:https'
import { TLSSocket } from 'node:tls'
import type { Instant } from '../../shared/clock.ts'
import { BerthError, ERROR_CODES, type ErrorCode } from '../../shared/errors.ts'
import type { JoinAnswer, JoinRequest } from '../../shared/join.ts'
import { parseJoinToken, publicKeyFingerprint } from '../../shared/join-token.ts'
import { type Identity, ownKey, requestFor, saveIdentity } from './identity.ts'

export type JoinOptions = {
  /** `https://HOST:PORT` */
  coordinator: string
  token: string
  node: string
  dataDir: string
  now: () => Instant
  timeoutMs?: number
}

const JOIN_TIMEOUT_MS = 10_000
const ANSWER_BYTES_MAX = 256 * 1024

/**
 * Makes this host a node and keeps its identity in `dataDir`. Doing it again is harmless.
 * @throws BerthError `token-invalid`, `token-expired`, `wrong-cluster`, `name-taken`, `clock-skew`, `unreachable`, `timed-out`, …
 */
export async function joinCluster(options: JoinOptions): Promise<Identity> {
  const { caPin } = parseJoinToken(options.token)
  const keyPem = await ownKey(options.dataDir)
  const answer = await ask(options, caPin, {
    token: options.token.trim(),
    node: options.node,
    request: requestFor(keyPem, options.node),
    at: options.now(),
  })
  if (publicKeyFingerprint(new X509Certificate(answer.ca)) !== caPin) throw wrongCluster(options.coordinator)
  return saveIdentity(options.dataDir, keyPem, answer)
}

function ask(
  { coordinator, timeoutMs = JOIN_TIMEOUT_MS }: JoinOptions,
  caPin: string,
  body: JoinRequest,
): Promise<JoinAnswer> {
  const url = joinUrl(coordinator)
  const text = JSON.stringify(body)
  return new Promise((resolve, reject) => {
    const asking = request(url, {
      method: 'POST',
      agent: false,
      minVersion: 'TLSv1.3',
      // Nobody's CA is trusted here; the pin is checked below, before a byte is sent.
      rejectUnauthorized: false,
      headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) },
      signal: AbortSignal.timeout(timeoutMs),
    })
    asking.on('socket', (socket) => {
      socket.once('secureConnect', () => {
        if (socket instanceof TLSSocket && isPinned(socket, caPin)) asking.end(text)
        else asking.destroy(wrongCluster(coordinator))
      })
    })
    asking.on('error', (error) => reject(reasonOf(error, coordinator, timeoutMs)))
    asking.on('response', (response) => {
      const chunks: Buffer[] = []
      let bytes = 0
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length
        if (bytes > ANSWER_BYTES_MAX) asking.destroy(new Error('the answer is too long'))
        else chunks.push(chunk)
      })
      response.on('error', (error) => reject(reasonOf(error, coordinator, timeoutMs)))
      response.on('end', () => {
        try {
          resolve(readAnswer(response.statusCode ?? 0, Buffer.concat(chunks).toString(), coordinator))
        } catch (error) {
          reject(error)
        }
      })
    })
  })
}

/** The chain that was shown ends in the CA of the pin, which has signed the server's certificate for a server. */
function isPinned(socket: TLSSocket, caPin: string): boolean {
  const leaf = socket.getPeerX509Certificate()
  const ca = leaf?.issuerCertificate
  if (leaf === undefined || ca === undefined) return false
  return (
    publicKeyFingerprint(ca) === caPin &&
    ca.ca &&
    leaf.verify(ca.publicKey) &&
    // Every node has a certificate of this CA too; only the coordinator has one that is for servers.
    leaf.keyUsage?.includes(FOR_SERVERS) === true
  )
}

const FOR_SERVERS = '1.3.6.1.5.5.7.3.1'

function readAnswer(status: number, text: string, coordinator: string): JoinAnswer {
  const answer = parsed(text)
  if (status === 200 && isJoinAnswer(answer)) return answer
  const { code, detail, title } = answer
  const sentence = [detail, title].find((each) => typeof each === 'string') ?? `HTTP status ${status}`
  throw new BerthError(isErrorCode(code) ? code : 'failed', `${coordinator} refused the join: ${sentence}`, {
    details: answer,
  })
}

function parsed(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? { ...value } : {}
  } catch {
    return {}
  }
}

function isJoinAnswer(value: Record<string, unknown>): value is JoinAnswer {
  return ['certificate', 'ca', 'cluster', 'node'].every((name) => typeof value[name] === 'string')
}

function isErrorCode(code: unknown): code is ErrorCode {
  return typeof code === 'string' && Object.hasOwn(ERROR_CODES, code)
}

function joinUrl(coordinator: string): URL {
  try {
    const url = new URL('/v1/join', coordinator)
    if (url.protocol === 'https:') return url
  } catch {
    // Said below, as for another protocol.
  }
  throw new BerthError(
    'invalid-request',
    `${coordinator} is not the address of a coordinator; it looks like https://10.0.0.5:23784`,
  )
}

function wrongCluster(coordinator: string): BerthError {
  return new BerthError(
    'wrong-cluster',
    `${coordinator} is not the coordinator that this join token is for: its certificate is not from the CA that the token pins. ` +
      '`berth token join` there prints its own token',
  )
}

function reasonOf(error: Error, coordinator: string, timeoutMs: number): BerthError {
  if (error instanceof BerthError) return error
  if (error.name === 'TimeoutError' || error.name === 'AbortError') {
    return new BerthError('timed-out', `${coordinator} did not answer within ${timeoutMs / 1000} s`, { cause: error })
  }
  return new BerthError(
    'unreachable',
    `cannot reach the coordinator at ${coordinator} (${error.message}). Is berth-coordinator running there?`,
    { cause: error },
  )
}
