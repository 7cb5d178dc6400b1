/** Who may ask: whoever holds the operator's token. The few routes without it stand here, and nowhere else. */
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Clock } from '../../shared/clock.ts'
import { BerthError } from '../../shared/errors.ts'
import type { Port } from '../connections/port.ts'
import { createFailureLimit } from '../security/failure-limit.ts'
import type { Security } from '../security/security.ts'

/** By the route's pattern, not by the request's path, so that no spelling of a path can reach past it. */
const PUBLIC_ROUTES = [
  '/healthz',
  '/v1/join',
  '/install.sh',
  // The agent and its runtime as files: without secrets, checked by the host against the CA in its join token.
  '/v1/agent-bundle.sha256',
  '/v1/agent-bundle.tar.gz',
]

export function requireOperator(security: Security, clock: Clock, port?: Port) {
  const failures = createFailureLimit()
  return async (request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    if (isPublic(request.routeOptions.url)) return
    const token = bearerToken(request.headers.authorization)
    // A right token passes even from an address with failures: nobody can lock operators out from behind the same NAT,
    // and 256 random bits need no lock against guessing. The limit spares the coordinator work.
    if (token !== null && security.isOperator(token)) {
      port?.authenticated(request.raw.socket)
      return
    }
    const waitMs = failures.waitMs(request.ip, clock.now())
    if (waitMs > 0) {
      reply.header('retry-after', Math.ceil(waitMs / 1000))
      throw new BerthError('too-many-requests', 'too many requests with a wrong token from this address; wait a minute')
    }
    failures.failed(request.ip, clock.now())
    reply.header('www-authenticate', 'Bearer')
    throw token === null
      ? new BerthError('unauthorized', 'this needs the operator token: Authorization: Bearer …, or `berth login`')
      : new BerthError('unauthorized', 'the operator token is wrong or was rotated; `berth login` takes the new one')
  }
}

export function isPublic(route: string | undefined): boolean {
  return route !== undefined && PUBLIC_ROUTES.includes(route)
}

function bearerToken(header: string | undefined): string | null {
  return /^Bearer ([\x21-\x7e]{1,512})$/i.exec(header ?? '')?.[1] ?? null
}
