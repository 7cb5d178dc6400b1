/** Watches over who is connected to the coordinator's one port, and closes what there is no room for. */
import type { Server } from 'node:https'
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { Instant } from '../../shared/clock.ts'
import type { Log } from '../../shared/log.ts'
import { STRANGER_LIMITS, StrangerBook, type StrangerLimits, type StrangerRefusal } from './strangers.ts'

export interface Port {
  /** Bounds the server's connections from now on. `authenticatedMax`: agents' sessions and operators together. */
  watch(server: Server, authenticatedMax: number): void
  /** The connection has become an agent's session, or has shown the operator's token: it is bounded elsewhere. */
  authenticated(socket: Socket): void
  /** For metrics; refusals since the start. */
  stats(): PortCounts
}

export type PortCounts = { strangers: number; refused: Map<StrangerRefusal, number> }

export type PortOptions = { log: Log; now?: () => Instant; limits?: Partial<StrangerLimits> }

/** In a flood a line a minute says all there is to say. */
const SAID_EVERY_MS = 60_000
const RETRY_AFTER_SECONDS = 5
const LINGER_MS = 1_000

export function createPort({ log, now = Date.now, limits: given }: PortOptions): Port {
  const limits = { ...STRANGER_LIMITS, ...given }
  const book = new StrangerBook(limits)
  const refused = new Map<StrangerRefusal, number>()
  /** A TLS socket and the plain one under it are two objects for one connection; its ends tell which belong together. */
  const sockets = new Map<string, Socket>()
  let saidAt = Number.NEGATIVE_INFINITY

  function refuse(why: StrangerRefusal, socket: Socket): void {
    refused.set(why, (refused.get(why) ?? 0) + 1)
    if (now() - saidAt < SAID_EVERY_MS) return
    saidAt = now()
    log.warn({ ...limits, strangers: book.size, address: socket.remoteAddress, why }, WORDS[why])
  }

  function opened(socket: Socket): void {
    const ends = endsOf(socket)
    sockets.set(ends, socket)
    socket.once('close', () => {
      if (sockets.get(ends) === socket) sockets.delete(ends)
      book.forget(socket)
    })
    const leaves = book.opened(socket, socket.remoteAddress ?? '') as Socket | null
    if (leaves === null) return
    refuse('strangers', leaves)
    leaves.destroy()
  }

  /** Judged by TLS: a certificate of our CA, and the key to it. */
  function shookHands(socket: TLSSocket): void {
    if (socket.authorized) return
    const plain = sockets.get(endsOf(socket))
    if (plain === undefined || book.cameWithoutCertificate(plain)) return
    refuse('strangers-of-address', plain)
    turnAway(socket)
  }

  return {
    watch(server, authenticatedMax) {
      // The last bound, beyond which nothing is even looked at.
      server.maxConnections = authenticatedMax + limits.strangersMax
      server.on('connection', opened)
      server.prependListener('secureConnection', shookHands)
    },
    authenticated(socket) {
      const plain = sockets.get(endsOf(socket))
      if (plain !== undefined) book.forget(plain)
    },
    stats: () => ({ strangers: book.size, refused }),
  }
}

const WORDS: Record<StrangerRefusal, string> = {
  strangers:
    'too many connections that have shown neither certificate nor token: the address with most of them gives way',
  'strangers-of-address':
    'too many connections of one address that have shown neither certificate nor token: more of them are turned away',
}

function endsOf({ remoteAddress, remotePort, localAddress }: Socket): string {
  return `${remoteAddress} ${remotePort} ${localAddress}`
}

/** Plain HTTP, before anything was asked: whoever speaks it reads why. */
function turnAway(socket: TLSSocket): void {
  const detail =
    'too many connections of your address are open that have shown neither certificate nor token; try again'
  const problem = { type: 'urn:berth:error:too-many-requests', title: 'too many requests', status: 429 }
  const body = JSON.stringify({ ...problem, code: 'too-many-requests', detail })
  const head = [
    'HTTP/1.1 429 Too Many Requests',
    'Connection: close',
    'Content-Type: application/problem+json',
    `Content-Length: ${Buffer.byteLength(body)}`,
    `Retry-After: ${RETRY_AFTER_SECONDS}`,
  ]
  socket.on('error', () => socket.destroy())
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`)
  setTimeout(() => socket.destroy(), LINGER_MS).unref()
}
