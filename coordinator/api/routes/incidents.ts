/** What went bad, with the evidence that was kept. */
import type { FastifyInstance } from 'fastify'
import { IncidentDocument, IncidentsDocument, IncidentsQuery, PAGE_LIMIT_DEFAULT } from '../../../shared/api.ts'
import { BerthError } from '../../../shared/errors.ts'
import Type, { type Static } from '../../../shared/schema.ts'
import type { RouteParts } from '../api.ts'
import { viewIncident, viewIncidentBrief } from '../view-incident.ts'

const Params = Type.Object({ id: Type.Integer({ minimum: 1, maximum: 999_999_999_999 }) })

export function incidentRoutes(api: FastifyInstance, { flightRecorder }: RouteParts): void {
  const list = {
    summary: 'Incidents, newest first: tasks that ended badly or became unhealthy, lost nodes, failed rollouts',
    querystring: IncidentsQuery,
    response: { 200: IncidentsDocument },
  }
  api.get<{ Querystring: IncidentsQuery }>('/v1/incidents', { schema: list }, async ({ query }) => {
    const page = await flightRecorder?.list({ ...query, limit: query.limit ?? PAGE_LIMIT_DEFAULT })
    return { items: (page?.items ?? []).map(viewIncidentBrief), next: page?.next ?? null }
  })

  const one = {
    summary: 'An incident with its evidence: exit, health, last lines, last loads, and why the task was there',
    params: Params,
    response: { 200: IncidentDocument },
  }
  api.get<{ Params: Static<typeof Params> }>('/v1/incidents/:id', { schema: one }, async ({ params }) => {
    if (!flightRecorder) throw new BerthError('incident-not-found', 'this coordinator keeps no incidents')
    return viewIncident(await flightRecorder.get(params.id))
  })
}
