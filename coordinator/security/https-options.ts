import type { ServerOptions } from 'node:https'
import type { Security } from './security.ts'

/** The longest that TLS 1.3 allows. */
const TICKET_LIFETIME_S = 7 * 24 * 3_600
const TLS_HANDSHAKE_TIMEOUT_MS = 5_000

/**
 * How the coordinator's one HTTPS server is made. Certificates of clients are asked for and judged later, by whoever needs one:
 * browsers and `berth` have none, an agent whose certificate is refused should hear why. Tickets bring back what the handshake
 * had found out, the agent's certificate included, at half of the work: a fleet that comes back after a restart is soon back
 * (docs/decisions/tickets.md).
 */
export function httpsOptions(security: Security): ServerOptions {
  return {
    ...security.serverTls(),
    minVersion: 'TLSv1.3',
    requestCert: true,
    rejectUnauthorized: false,
    sessionIdContext: security.cluster,
    sessionTimeout: TICKET_LIFETIME_S,
    handshakeTimeout: TLS_HANDSHAKE_TIMEOUT_MS,
  }
}
