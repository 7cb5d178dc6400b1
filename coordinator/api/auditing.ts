/** Puts each change that is asked for into the audit log, before its answer goes out. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Clock } from '../../shared/clock.ts'
import type { Log } from '../../shared/log.ts'
import type { AuditLog, NewAuditRecord } from '../audit/audit-log.ts'
import { auditDetails } from '../audit/details.ts'

const CHANGING = ['POST', 'PUT', 'PATCH', 'DELETE']
/** Questions that need a body. Asking changes nothing. */
const QUESTIONS = ['/v1/logs', '/v1/plan', '/v1/what-if']
const JOIN = '/v1/join'

export type AuditParts = { audit: AuditLog; clock: Clock; log?: Log | undefined }

/**
 * What was refused for its token is not told: whoever can reach the port could push out of the log what it is kept for. A change
 * that was made is answered as made even when there is no room to say so in the audit log; the log has it then.
 */
export function auditChanges(api: FastifyInstance, { audit, clock, log }: AuditParts): void {
  api.addHook('onSend', async (request, reply, payload) => {
    const record = recordOf(request, reply.statusCode, payload, clock.now())
    if (record === null) return payload
    try {
      await audit.add(record)
    } catch (error) {
      log?.error({ err: error, ...record }, 'a change could not be put into the audit log')
    }
    return payload
  })
}

function recordOf(request: FastifyRequest, status: number, payload: unknown, at: number): NewAuditRecord | null {
  const { method, routeOptions, url, ip: from } = request
  const route = routeOptions.url
  if (route === undefined || !CHANGING.includes(method) || QUESTIONS.includes(route)) return null
  if (status === 401 || status === 429 || (route === JOIN && status >= 400)) return null
  const what = (routeOptions.schema as { summary?: string } | undefined)?.summary ?? ''
  return {
    at,
    who: route === JOIN ? 'join' : 'operator',
    from,
    method,
    path: url.split('?', 1)[0] ?? url,
    what,
    details: auditDetails(request.query, request.body),
    status,
    code: status < 400 ? null : codeOf(payload),
  }
}

function codeOf(payload: unknown): string {
  try {
    return String((JSON.parse(String(payload)) as { code?: unknown }).code ?? 'failed')
  } catch {
    return 'failed'
  }
}
