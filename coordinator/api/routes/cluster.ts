/** The cluster as a whole: whether it serves, what it is doing, its metrics and the description of this API. */
import type { FastifyInstance } from 'fastify'
import { ChangeAnswer, ClusterBody, ClusterDocument, HealthDocument, StatusDocument } from '../../../shared/api.ts'
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

  const settingsOfCluster = { summary: 'What is set for the cluster as a whole', response: { 200: ClusterDocument } }
  api.get('/v1/cluster', { schema: settingsOfCluster }, () => ({
    cluster: core.world.cluster,
    settings: core.world.settings,
  }))

  const set = {
    summary: 'Sets policy, survive, preemption or rebalance',
    body: ClusterBody,
    response: { 200: ChangeAnswer },
  }
  api.patch<{ Body: ClusterBody }>('/v1/cluster', { schema: set }, async ({ body }) => ({
    revision: await core.submit({ kind: 'set-cluster', settings: body }),
  }))

  api.get('/metrics', { schema: { summary: 'Metrics in Prometheus text form' } }, async (_request, reply) => {
    return reply.type(metrics.contentType).send(await metrics.metrics())
  })

  api.get('/v1/openapi.json', { schema: { hide: true } }, () => api.swagger())
}
