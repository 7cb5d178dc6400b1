import type { ServerOptions } from 'node:https'
import type { Security } from './security.ts'

const TLS_HANDSHAKE_TIMEOUT_MS = 5_000

/**
 * How the coordinator's one HTTPS server is made. Certificates of clients are asked for and judged later, by whoever needs one:
 * browsers and `berth` have none, an agent whose certificate is refused should hear why.
 */
export function httpsOptions(security: Security): ServerOptions {
  return {
    ...security.serverTls(),
    minVersion: 'TLSv1.3',
    requestCert: true,
    rejectUnauthorized: false,
    handshakeTimeout: TLS_HANDSHAKE_TIMEOUT_MS,
  }
}
