/** The cluster as a whole: whether it serves, what it is doing, its metrics and the description of this API. */
import type { FastifyInstance } from 'fastify'
import { HealthDocument, StatusDocument } from '../../../shared/api.ts'
import type { RouteParts } from '../api.ts'
import { viewStatus } from '../view-status.ts'

export function clusterRoutes(api: FastifyInstance, parts: RouteParts): void {
  const { core, metrics, settings, version, clock } = parts

  const health = { summary: 'Whether the coordinator serves', security: [], response: { 200: HealthDocument } }
  api.get('/healthz', { schema: health }, () => ({ status: 'ok', version }))

  const status = { summary: 'The whole cluster in one document', response: { 200: StatusDocument } }
  api.get('/status', { schema: status }, () => {
    const { url, startedAt, storeBytes } = settings
    return viewStatus(core.world, { version, url, startedAt, storeBytes: storeBytes() }, clock.now())
  })

  api.get('/metrics', { schema: { summary: 'Metrics in Prometheus text form' } }, async (_request, reply) => {
    return reply.type(metrics.contentType).send(await metrics.metrics())
  })

  api.get('/v1/openapi.json', { schema: { hide: true } }, () => api.swagger())
}
