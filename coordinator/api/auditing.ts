/** Puts each change that is asked for into the audit log: when it is asked for, and what came of it. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Clock } from '../../shared/clock.ts'
import type { Asked, AuditLog, AuditRecord } from '../audit/audit-log.ts'
import { auditDetails } from '../audit/details.ts'
import { tokenNameOf } from './auth.ts'

const CHANGING = ['POST', 'PUT', 'PATCH', 'DELETE']
/** Questions that need a body. Asking changes nothing. */
const QUESTIONS = ['/v1/logs', '/v1/plan', '/v1/what-if']
const JOIN = '/v1/join'

/**
 * What was refused for a wrong token is not told, nor a join that was refused: whoever can reach the port could push out of the log
 * what it is kept for. A change that was asked for with a read-only token is, by its name: 20 a minute and address at most (auth.ts).
 */
export function auditChanges(api: FastifyInstance, { audit, clock }: { audit: AuditLog; clock: Clock }): void {
  const begun = new WeakMap<FastifyRequest, AuditRecord>()
  // Behind the check of the token.
  api.addHook('preHandler', async (request) => {
    if (isChange(request) && request.routeOptions.url !== JOIN)
      begun.set(request, audit.begin(askedOf(request, clock.now())))
  })
  api.addHook('onSend', async (request, { statusCode }, payload) => {
    const record = begun.get(request) ?? begunLate(request, statusCode)
    if (record) audit.end(record, statusCode, statusCode < 400 ? null : codeOf(payload))
    return payload
  })

  /** What was refused before it was asked for, as for its shape; and hosts that have joined. */
  function begunLate(request: FastifyRequest, status: number): AuditRecord | null {
    if (!isChange(request) || status === 401 || status === 429) return null
    if (request.routeOptions.url === JOIN && status >= 400) return null
    return audit.begin(askedOf(request, clock.now()))
  }
}

function isChange({ method, routeOptions: { url } }: FastifyRequest): boolean {
  return url !== undefined && CHANGING.includes(method) && !QUESTIONS.includes(url)
}

function askedOf(request: FastifyRequest, at: number): Asked {
  const { method, routeOptions, url, ip: from, query, body } = request
  return {
    at,
    who: routeOptions.url === JOIN ? 'join' : tokenNameOf(request),
    from,
    method,
    path: url.split('?', 1)[0] ?? url,
    what: (routeOptions.schema as { summary?: string } | undefined)?.summary ?? '',
    details: auditDetails(query, body),
  }
}

function codeOf(payload: unknown): string {
  try {
    return String((JSON.parse(String(payload)) as { code?: unknown }).code ?? 'failed')
  } catch {
    return 'failed'
  }
}
