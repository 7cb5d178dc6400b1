/** The websocket as the link needs it. The only file of the agent that knows ws. */
import { isIP } from 'node:net'
import { connect as connectTls, createSecureContext, type SecureContext, type TLSSocket } from 'node:tls'
import { WebSocket } from 'ws'
import { FRAME_BYTES_MAX } from '../../shared/wire/codec.ts'
import type { Identity } from './identity.ts'

export interface CoordinatorSocket {
  /** `flushed` is called when the network has taken it, or never. */
  send(frame: Uint8Array, flushed?: () => void): void
  readonly bufferedBytes: number
  ping(): void
  /** After what was sent has gone out. */
  close(): void
  /** At once. */
  cutOff(): void
}

export interface CoordinatorListener {
  opened(): void
  frame(bytes: Uint8Array): void
  pong(): void
  /** Once, whatever the end was. */
  closed(why: string): void
}

const HANDSHAKE_TIMEOUT_MS = 5_000
const KEEP_ALIVE_MS = 10_000

/**
 * A mask of zeros changes no byte, so ws leaves the masking out, which costs an agent more than packing what it masks. It keeps
 * proxies between from taking what a page in a browser sends for their own; here are neither a browser nor, inside TLS, proxies.
 */
const noMask = (mask: Buffer) => void mask.fill(0)

/** Connects with this host's certificate, to nobody but a coordinator of the cluster that it joined. */
export function connect(coordinator: string, identity: Identity, listener: CoordinatorListener): CoordinatorSocket {
  const url = agentUrl(coordinator)
  const websocket = new WebSocket(url, {
    perMessageDeflate: false,
    maxPayload: FRAME_BYTES_MAX,
    handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
    generateMask: noMask,
    createConnection: () => tlsConnection(url, identity),
  })
  let why: string | null = null
  websocket.on('open', () => listener.opened())
  websocket.on('message', (data, isBinary) => {
    if (isBinary && data instanceof Buffer) listener.frame(data)
  })
  websocket.on('pong', () => listener.pong())
  websocket.on('error', (error) => {
    why ??= wordsFor(error)
  })
  websocket.on('close', (code, reason) => {
    listener.closed(why ?? (reason.length > 0 ? reason.toString() : `the connection was closed (code ${code})`))
  })
  return {
    send: (frame, flushed) => websocket.send(frame, flushed && ((error) => (error ? undefined : flushed()))),
    get bufferedBytes() {
      return websocket.bufferedAmount
    },
    ping: () => websocket.ping(),
    close: () => websocket.close(1000),
    cutOff: () => websocket.terminate(),
  }
}

/**
 * What was made of an identity once, and the newest ticket that the coordinator gave for it. A ticket brings back the certificate
 * that it was given for, so it goes with the identity: a renewed one begins with a whole handshake.
 */
type Kept = { context: SecureContext; ticket: Buffer | null }

const keptOf = new WeakMap<Identity, Kept>()

function kept(identity: Identity): Kept {
  const known = keptOf.get(identity)
  if (known) return known
  const { caPem, certificatePem, keyPem } = identity
  const context = createSecureContext({ minVersion: 'TLSv1.3', ca: caPem, cert: certificatePem, key: keyPem })
  const made: Kept = { context, ticket: null }
  keptOf.set(identity, made)
  return made
}

/**
 * Shakes hands and hangs up, for the ticket: after a renewal, so that this host comes back as cheaply as before it. Best effort.
 */
export function fetchTicket(coordinator: string, identity: Identity): void {
  const socket = tlsConnection(agentUrl(coordinator), identity)
  const giveUp = setTimeout(() => socket.destroy(), HANDSHAKE_TIMEOUT_MS).unref()
  socket.on('error', () => socket.destroy())
  socket.on('session', () => socket.destroy())
  socket.on('close', () => clearTimeout(giveUp))
}

function tlsConnection(url: URL, identity: Identity): TLSSocket {
  const known = kept(identity)
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const socket = connectTls({
    host,
    port: Number(url.port || 443),
    ...(isIP(host) ? {} : { servername: host }),
    secureContext: known.context,
    ...(known.ticket !== null && { session: known.ticket }),
    // The CA signs certificates for servers for its one coordinator only, so whatever address reaches it is the right one.
    checkServerIdentity: () => undefined,
  })
  socket.on('session', (ticket: Buffer) => {
    known.ticket = ticket
  })
  socket.setNoDelay(true)
  socket.setKeepAlive(true, KEEP_ALIVE_MS)
  return socket
}

function agentUrl(coordinator: string): URL {
  const url = new URL('/v1/agent', coordinator)
  url.protocol = 'wss:'
  return url
}

/** What TLS says of certificates needs the likely reason beside it. */
function wordsFor(error: Error & { code?: string }): string {
  switch (error.code) {
    case 'CERT_NOT_YET_VALID':
    case 'CERT_HAS_EXPIRED':
      return `the coordinator's certificate is not valid at this host's time (${error.code}): is the clock of either host wrong?`
    case 'SELF_SIGNED_CERT_IN_CHAIN':
    case 'UNABLE_TO_VERIFY_LEAF_SIGNATURE':
    case 'CERT_SIGNATURE_FAILURE':
    case 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY':
      return `the server there is not of the cluster that this host joined (${error.code})`
    default:
      return error.message || String(error.code)
  }
}
