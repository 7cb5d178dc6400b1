/** Who changed what. */
import type { FastifyInstance } from 'fastify'
import { AuditDocument, AuditQuery, PAGE_LIMIT_DEFAULT } from '../../../shared/api.ts'
import Type from '../../../shared/schema.ts'
import type { RouteParts } from '../api.ts'
import { isoTime } from '../words.ts'

export function auditRoutes(api: FastifyInstance, { audit }: RouteParts): void {
  const schema = {
    summary: 'Changes asked for over this API, oldest first: behind a number, or the newest',
    querystring: AuditQuery,
    response: { 200: Type.Object({ items: Type.Array(AuditDocument) }) },
  }
  api.get<{ Querystring: AuditQuery }>('/v1/audit', { schema }, async ({ query }) => {
    const records = (await audit?.list({ ...query, limit: query.limit ?? PAGE_LIMIT_DEFAULT })) ?? []
    return { items: records.map((record) => ({ ...record, at: isoTime(record.at) })) }
  })
}
