/** The https server under the API: TLS 1.3, one port for operators and agents, certificates exchanged while it runs. */
import type { RequestListener } from 'node:http'
import { createServer, type Server } from 'node:https'
import { httpsOptions } from '../security/https-options.ts'
import type { Security } from '../security/security.ts'

/** Between the first byte of a request and its last; answers, which may be streams, are not limited. */
const requestTimeoutMs = 60_000
const headersTimeoutMs = 15_000
const keepAliveTimeoutMs = 75_000

export function httpsServer(security: Security, handler: RequestListener): Server {
  const server = createServer(httpsOptions(security), handler)
  server.requestTimeout = requestTimeoutMs
  server.headersTimeout = headersTimeoutMs
  server.keepAliveTimeout = keepAliveTimeoutMs
  const stop = security.onServerCertificate(() => server.setSecureContext(httpsOptions(security)))
  server.once('close', stop)
  return server
}
