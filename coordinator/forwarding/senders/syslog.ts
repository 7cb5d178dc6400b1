/**
 * Lines to a syslog server. Syslog acknowledges nothing. So over TCP and TLS each batch has a connection of its own: we end it, the server
 * reads it to its end and ends it as well, and only then is the batch taken; whatever breaks before that is sent again. Over
 * UDP all that is known is that the lines went out.
 */
import { createSocket, type Socket as UdpSocket } from 'node:dgram'
import { connect as connectTcp, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { BerthError } from '../../../shared/errors.ts'
import type { ForwardTarget } from '../../../shared/forwarding/config.ts'
import { FACILITY_DEFAULT, octetCounted, syslogMessages } from '../formats/syslog.ts'
import type { ForwardLine } from '../line.ts'
import { type Answer, BATCH_BYTES_USUAL, type Sender } from './sender.ts'

/** Measured: rsyslog 8.2302 takes 8,096 as it comes, and of a longer one cuts off the rest. */
const MESSAGE_BYTES_MAX = 8_000
/** What receivers should take at least (RFC 5424, 6.1). */
const DATAGRAM_BYTES_MAX = 2_048
/** More than others, since each costs a connection and a wait. */
const STREAM_BATCH_BYTES = 4 * 1024 * 1024
const PORTS: Record<string, number> = { 'tls:': 6514, 'tcp:': 514, 'udp:': 514 }
/** After so many datagrams others have their turn, and the receiver some time. */
const DATAGRAMS_AT_ONCE = 64

export function syslogSender(target: ForwardTarget, limitMs: number): Sender {
  const { protocol, hostname, port } = new URL(target.url)
  const host = hostname.replace(/^\[|\]$/g, '')
  const place: Place = { host, port: Number(port) || PORTS[protocol]!, ca: target.ca, isTls: protocol === 'tls:' }
  const facility = target.facility ?? FACILITY_DEFAULT
  const isUdp = protocol === 'udp:'
  const bytesMax = isUdp ? DATAGRAM_BYTES_MAX : MESSAGE_BYTES_MAX
  const messagesOf = (some: readonly ForwardLine[]) => some.flatMap((line) => syslogMessages(line, facility, bytesMax))
  return {
    batchBytes: isUdp ? BATCH_BYTES_USUAL : STREAM_BATCH_BYTES,
    async send(lines, signal) {
      const limit = AbortSignal.timeout(limitMs)
      const either = AbortSignal.any([signal, limit])
      try {
        const bytes = isUdp
          ? await sendDatagrams(place, await inPieces(lines, (some) => messagesOf(some)), either)
          : await sendStream(place, await inPieces(lines, (some) => [octetCounted(messagesOf(some))]), either)
        return { kind: 'taken', refused: 0, why: '', bytes }
      } catch (error) {
        return {
          kind: 'later',
          failure: failureOf(target.name, error, limit.aborted ? limitMs : null),
          waitMs: 0,
        } satisfies Answer
      }
    },
    close() {},
  }
}

/** After so many lines others have their turn: a few milliseconds. */
const LINES_AT_ONCE = 2_000

async function inPieces<Piece>(
  lines: readonly ForwardLine[],
  piecesOf: (some: readonly ForwardLine[]) => Piece[],
): Promise<Piece[]> {
  const pieces: Piece[] = []
  for (let at = 0; at < lines.length; at += LINES_AT_ONCE) {
    if (at > 0) await new Promise((resolve) => setImmediate(resolve))
    for (const piece of piecesOf(lines.slice(at, at + LINES_AT_ONCE))) pieces.push(piece)
  }
  return pieces
}

type Place = { host: string; port: number; ca: string | undefined; isTls: boolean }

/**
 * A server that takes no more clients, or is about to end, ends a connection without reading it. That is told from one that has read
 * all by its coming before our end does, hence we wait: as long as connecting took, several times over.
 */
const EARLY_END_MS = 50
const EARLY_END_TRIPS = 4

function sendStream(place: Place, pieces: Buffer[], signal: AbortSignal): Promise<number> {
  const { host, port, ca, isTls } = place
  const bytes = Buffer.concat(pieces)
  return new Promise((resolve, reject) => {
    const socket: Socket = isTls
      ? connectTls({ host, port, ...(ca !== undefined && { ca }), ...(/[a-z]/i.test(host) && { servername: host }) })
      : connectTcp({ host, port, allowHalfOpen: true })
    const startedAt = performance.now()
    let timer: NodeJS.Timeout | undefined
    let isWritten = false
    let isEnded = false
    const onAbort = () => socket.destroy(new Error('aborted'))
    signal.addEventListener('abort', onAbort, { once: true })
    socket.once(isTls ? 'secureConnect' : 'connect', () => {
      const waitMs = Math.max(EARLY_END_MS, EARLY_END_TRIPS * (performance.now() - startedAt))
      socket.write(bytes, () => {
        // What came meanwhile is read before, however late the timer is.
        timer = setTimeout(() => setImmediate(() => socket.end()), waitMs)
      })
    })
    socket.once('finish', () => {
      isWritten = true
    })
    socket.once('end', () => {
      isEnded = true
      if (!isWritten) socket.destroy(new EarlyEnd())
    })
    socket.on('error', reject)
    socket.once('close', () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', onAbort)
      // Behind an error it is of no effect.
      if (isWritten && isEnded) resolve(bytes.length)
      else reject(new EarlyEnd())
    })
    socket.resume()
    if (signal.aborted) onAbort()
  })
}

class EarlyEnd extends Error {
  readonly code = 'the connection was ended before all was read'
}

async function sendDatagrams(place: Place, messages: string[], signal: AbortSignal): Promise<number> {
  const { host, port } = place
  const socket = createSocket(host === '::1' ? 'udp6' : 'udp4')
  let failed: unknown = null
  socket.on('error', (error) => {
    failed = error
  })
  try {
    await connected(socket, port, host)
    let bytes = 0
    for (let at = 0; at < messages.length; at += DATAGRAMS_AT_ONCE) {
      const some = messages.slice(at, at + DATAGRAMS_AT_ONCE).map((message) => Buffer.from(message))
      await Promise.all(some.map((message) => sent(socket, message)))
      for (const message of some) bytes += message.length
      // A port that nobody listens at is told by the kernel, after a moment.
      await new Promise((resolve) => setTimeout(resolve, 1))
      if (failed !== null) throw failed
      signal.throwIfAborted()
    }
    return bytes
  } finally {
    socket.close()
  }
}

function connected(socket: UdpSocket, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('error', reject)
    socket.connect(port, host, () => {
      socket.off('error', reject)
      resolve()
    })
  })
}

function sent(socket: UdpSocket, message: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.send(message, (error) => (error ? reject(error) : resolve()))
  })
}

/** The code alone: messages name addresses. */
function failureOf(name: string, error: unknown, lateMs: number | null): BerthError {
  if (lateMs !== null) {
    const message = `target ${name} has not read a batch to its end and ended the connection within ${lateMs / 1000} s`
    return new BerthError('timed-out', message)
  }
  const { code } = error as { code?: unknown }
  return new BerthError(
    'unreachable',
    `target ${name} cannot be reached (${typeof code === 'string' ? code : 'no connection'})`,
  )
}
