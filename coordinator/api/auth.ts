/** Who may ask: whoever holds the operator's token. The few routes without it stand here, and nowhere else. */
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Clock, Instant } from '../../shared/clock.ts'
import { BerthError } from '../../shared/errors.ts'
import type { Security } from '../security/security.ts'

/** By the route's pattern, not by the request's path, so that no spelling of a path can reach past it. */
const PUBLIC_ROUTES = ['/healthz', '/v1/join', '/install.sh']
/** The agent and its runtime as files: without secrets, checked by the host against the CA in its join token. */
const PUBLIC_PREFIX = '/v1/agent-bundle'

const windowMs = 60_000
const failuresPerWindowMax = 30
const addressesMax = 10_000

export function requireOperator(security: Security, clock: Clock) {
  const failures = failureTable(clock)
  return async (request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    if (isPublic(request.routeOptions.url)) return
    const token = bearerToken(request.headers.authorization)
    // A right token passes even from an address with failures: nobody can lock operators out from behind the same NAT,
    // and 256 random bits need no lock against guessing. The limit spares the coordinator work.
    if (token !== null && security.isOperator(token)) return
    if (failures.count(request.ip) > failuresPerWindowMax) {
      reply.header('retry-after', Math.ceil(windowMs / 1000))
      throw new BerthError('too-many-requests', 'too many requests with a wrong token from this address; wait a minute')
    }
    reply.header('www-authenticate', 'Bearer')
    throw token === null
      ? new BerthError('unauthorized', 'this needs the operator token: Authorization: Bearer …, or `berth login`')
      : new BerthError('unauthorized', 'the operator token is wrong or was rotated; `berth login` takes the new one')
  }
}

export function isPublic(route: string | undefined): boolean {
  return route !== undefined && (PUBLIC_ROUTES.includes(route) || route.startsWith(PUBLIC_PREFIX))
}

function bearerToken(header: string | undefined): string | null {
  return /^Bearer ([\x21-\x7e]{1,512})$/i.exec(header ?? '')?.[1] ?? null
}

/** Failures of each address within the last window. At its bound the address that failed first is forgotten. */
export function failureTable(clock: Clock, size = addressesMax) {
  const table = new Map<string, { since: Instant; failures: number }>()
  return {
    /** Counts one more, and says how many there are now. */
    count(address: string): number {
      const now = clock.now()
      let entry = table.get(address)
      if (!entry || now - entry.since >= windowMs) {
        entry = { since: now, failures: 0 }
        table.delete(address)
        if (table.size >= size) table.delete(table.keys().next().value ?? '')
        table.set(address, entry)
      }
      entry.failures += 1
      return entry.failures
    },
    get size() {
      return table.size
    },
  }
}
