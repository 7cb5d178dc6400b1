/** The coordinator's HTTP API: https on the one port, a token on every route but the few that auth.ts names. */
import swagger from '@fastify/swagger'
import fastify, { type FastifyInstance } from 'fastify'
import { type Clock, systemClock } from '../../shared/clock.ts'
import { auditChanges } from './auditing.ts'
import { requireOperator } from './auth.ts'
import { joinRoutes } from './join.ts'
import { readJsonBodies } from './json-body.ts'
import type { ApiParts } from './parts.ts'
import { answerProblem, unknownRoute } from './problem-answers.ts'
import { alertRoutes } from './routes/alerts.ts'
import { auditRoutes } from './routes/audit.ts'
import { clusterRoutes } from './routes/cluster.ts'
import { eventRoutes } from './routes/events.ts'
import { forwardingRoutes } from './routes/forwarding.ts'
import { incidentRoutes } from './routes/incidents.ts'
import { logRoutes } from './routes/logs.ts'
import { metricsRoutes } from './routes/metrics.ts'
import { nodeRoutes } from './routes/nodes.ts'
import { progressRoutes } from './routes/progress.ts'
import { questionRoutes } from './routes/questions.ts'
import { rebalanceRoutes } from './routes/rebalance.ts'
import { recordingRoutes } from './routes/recording.ts'
import { serviceRoutes } from './routes/services.ts'
import { stackRoutes } from './routes/stacks.ts'
import { taskRoutes } from './routes/tasks.ts'
import { tokenRoutes } from './routes/tokens.ts'
import { httpsServer } from './server.ts'
import { streamLimit } from './stream.ts'
import { schemaController } from './validator.ts'

export const BODY_BYTES_MAX = 8 * 1024 * 1024

export type Api = FastifyInstance
/** What every file of routes gets. */
export type RouteParts = Omit<ApiParts, 'clock' | 'streams'> & { clock: Clock; streams: ReturnType<typeof streamLimit> }

/**
 * The API, not yet listening: `await api.listen({ host, port })`. Agents arrive on the same port; sessions take the
 * `upgrade` events of `api.server`, which asks every client for a certificate and leaves it to them to judge it.
 */
export function createApi(parts: ApiParts): Api {
  const api = fastify({
    serverFactory: (handler) => httpsServer(parts.security, handler),
    bodyLimit: BODY_BYTES_MAX,
    // Longer than any name may be, so that it is the schema that says so.
    routerOptions: { maxParamLength: 1024 },
    frameworkErrors: answerProblem(parts.log),
    schemaController,
    logger: false,
    // Open streams are ended by their own `preClose`; idle connections are not waited for.
    forceCloseConnections: true,
  })
  api.setErrorHandler(answerProblem(parts.log))
  api.setNotFoundHandler(unknownRoute)
  readJsonBodies(api)

  const clock = parts.clock ?? systemClock
  const routeParts: RouteParts = { ...parts, clock, streams: streamLimit(parts.streams) }
  api.addHook('onRequest', requireOperator(parts.security, clock, parts.port))
  if (parts.audit) auditChanges(api, { audit: parts.audit, clock })
  api.addHook('preClose', async () => routeParts.streams.endAll())

  api.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'Berth', version: parts.version, description: 'The HTTP API of a Berth coordinator.' },
      components: { securitySchemes: { operatorToken: { type: 'http', scheme: 'bearer' } } },
      security: [{ operatorToken: [] }],
    },
  })
  for (const routes of ROUTES) api.register(async (scope) => routes(scope, routeParts))
  api.register(joinRoutes({ security: parts.security, core: parts.core, now: clock.now }))
  if (parts.installer) api.register(parts.installer)
  return api
}

const ROUTES = [
  clusterRoutes,
  nodeRoutes,
  stackRoutes,
  serviceRoutes,
  taskRoutes,
  eventRoutes,
  auditRoutes,
  alertRoutes,
  forwardingRoutes,
  incidentRoutes,
  progressRoutes,
  questionRoutes,
  logRoutes,
  tokenRoutes,
  recordingRoutes,
  rebalanceRoutes,
  metricsRoutes,
]
