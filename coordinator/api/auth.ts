/** Who may ask: whoever holds the operator's token; who has a read-only one, for what that may read. Routes without stand here, and nowhere else. */
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

/**
 * What a read-only token may read: figures, states and what happened. Not what may hold secrets (specs with their environment, logs,
 * incidents with their last lines, recordings, tokens), nor who changed what.
 */
const READER_ROUTES = [
  '/metrics',
  '/status',
  '/v1/metrics',
  '/v1/metrics/names',
  '/v1/discovery/prometheus',
  '/v1/top',
  '/v1/nodes',
  '/v1/nodes/:name',
  '/v1/stacks',
  '/v1/services',
  '/v1/tasks',
  '/v1/tasks/:name',
  '/v1/progress/:stack',
  '/v1/events',
  '/v1/events/live',
  '/v1/alerts',
]

export const OPERATOR = 'operator'
const names = new WeakMap<FastifyRequest, string>()

/** The name of the token that it came with. */
export function tokenNameOf(request: FastifyRequest): string {
  return names.get(request) ?? OPERATOR
}

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
    const reader = token === null ? null : security.readerOf(token)
    if (reader !== null && mayRead(request)) {
      names.set(request, reader)
      port?.authenticated(request.raw.socket)
      return
    }
    const waitMs = failures.waitMs(request.ip, clock.now())
    if (waitMs > 0) {
      reply.header('retry-after', Math.ceil(waitMs / 1000))
      throw new BerthError('too-many-requests', 'too many requests with a wrong token from this address; wait a minute')
    }
    failures.failed(request.ip, clock.now())
    if (reader !== null) {
      names.set(request, reader)
      throw readsOnly(reader, request)
    }
    reply.header('www-authenticate', 'Bearer')
    throw token === null
      ? new BerthError('unauthorized', 'this needs the operator token: Authorization: Bearer …, or `berth login`')
      : new BerthError('unauthorized', 'the operator token is wrong or was rotated; `berth login` takes the new one')
  }
}

function mayRead({ method, routeOptions }: FastifyRequest): boolean {
  return (method === 'GET' || method === 'HEAD') && READER_ROUTES.includes(routeOptions.url ?? '')
}

function readsOnly(name: string, { method, routeOptions }: FastifyRequest): BerthError {
  const what =
    method === 'GET' || method === 'HEAD' ? 'may not read this' : 'reads only, and this is a change or a question'
  return new BerthError(
    'forbidden',
    `the token ${name} ${what} (${method} ${routeOptions.url ?? 'an unknown path'}); it needs the operator token`,
  )
}

export function isPublic(route: string | undefined): boolean {
  return route !== undefined && PUBLIC_ROUTES.includes(route)
}

function bearerToken(header: string | undefined): string | null {
  return /^Bearer ([\x21-\x7e]{1,512})$/i.exec(header ?? '')?.[1] ?? null
}
