/** Who may have a session: judged by the certificate that the TLS handshake has brought, and what the world says of its node. */
import { type KeyObject, X509Certificate } from 'node:crypto'
import { TLSSocket } from 'node:tls'
import type { Instant } from '../../shared/clock.ts'
import { publicKeyFingerprint } from '../../shared/join-token.ts'
import type { Node, World } from '../world.ts'
import type { Refusal } from './session.ts'

/** What the handshake told of the other side; null: it showed no certificate that our CA has signed. */
export type Caller = {
  node: string
  keyFingerprint: string
  /** It holds: for clients, and at this time. */
  isValid: boolean
  /** Why it is not, in TLS's words. */
  fault: string
  validUntil: Instant
} | null

export type Judgement = { ok: true; node: Node } | { ok: false; refusal: Refusal }

/**
 * Anybody can make a certificate in any name. Strangers' are turned away here, before a websocket is opened or a line of log
 * written; those that our CA has signed are told what has become of theirs.
 */
export function callerOf(socket: unknown, caKey: KeyObject): Caller {
  if (!(socket instanceof TLSSocket)) return null
  const certificate = socket.getPeerX509Certificate()
  if (!(certificate instanceof X509Certificate)) return null
  // The handshake has verified one that is authorized. Of others our own may have expired, and are told so.
  if (!socket.authorized && !certificate.verify(caKey)) return null
  return {
    node: commonNameOf(certificate),
    keyFingerprint: publicKeyFingerprint(certificate),
    isValid: socket.authorized,
    fault: String(socket.authorizationError ?? ''),
    validUntil: certificate.validToDate.getTime(),
  }
}

export function judgeCaller(caller: NonNullable<Caller>, world: World, now: Instant): Judgement {
  if (now >= caller.validUntil || caller.fault === 'CERT_HAS_EXPIRED') {
    const when = new Date(caller.validUntil).toISOString()
    return no(`the certificate of ${caller.node} expired at ${when}; join again with \`berth agent --join-file FILE\``)
  }
  if (!caller.isValid) return no(`the certificate of ${caller.node} does not hold (${caller.fault}); join again`)
  const node = world.nodes.get(caller.node)
  if (node === undefined) {
    return no(
      `there is no node ${caller.node}: it was removed, and its certificate is refused. Join again with \`berth agent --join-file FILE\``,
    )
  }
  if (node.keyFingerprint !== caller.keyFingerprint) {
    return no(
      `node ${caller.node} has another key by now: this host's certificate is refused. Join again under a name of its own`,
    )
  }
  return { ok: true, node }
}

function no(message: string): Judgement {
  return { ok: false, refusal: { offence: 'certificate', code: 'certificate-mismatch', message, retry: false } }
}

function commonNameOf(certificate: X509Certificate): string {
  return /^CN=(.*)$/m.exec(certificate.subject)?.[1] ?? ''
}
