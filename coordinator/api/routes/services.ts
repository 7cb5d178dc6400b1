/** Services: looking at them, scaling, rolling back. */
import type { FastifyInstance } from 'fastify'
import {
  ChangeAnswer,
  NameParams,
  Page,
  type PageQuery,
  ScaleBody,
  ServiceDetail,
  ServiceDocument,
  ServicesQuery,
} from '../../../shared/api.ts'
import { BerthError } from '../../../shared/errors.ts'
import type { Service, World } from '../../world.ts'
import type { RouteParts } from '../api.ts'
import { page } from '../paging.ts'
import { servicesOf } from '../progress.ts'
import { viewService, viewServiceDetail } from '../view-service.ts'

type ByName = { Params: { name: string } }

export function serviceRoutes(api: FastifyInstance, { core }: RouteParts): void {
  const list = { summary: 'All services', querystring: ServicesQuery, response: { 200: Page(ServiceDocument) } }
  api.get<{ Querystring: PageQuery & { stack?: string } }>('/v1/services', { schema: list }, ({ query }) =>
    page(
      query.stack === undefined ? core.world.services.values() : servicesOf(core.world, query.stack),
      query,
      (service) => service.name,
      (service) => viewService(core.world, service),
    ),
  )

  const one = { summary: 'One service, with its spec', params: NameParams, response: { 200: ServiceDetail } }
  api.get<ByName>('/v1/services/:name', { schema: one }, ({ params }) => {
    const detail = viewServiceDetail(core.world, serviceNamed(core.world, params.name))
    if (detail) return detail
    throw new BerthError('service-not-found', `the service ${params.name} is being removed`)
  })

  const scale = {
    summary: 'Sets how many tasks a replicated service has',
    params: NameParams,
    body: ScaleBody,
    response: { 200: ChangeAnswer },
  }
  api.post<ByName & { Body: ScaleBody }>('/v1/services/:name/scale', { schema: scale }, async ({ params, body }) => {
    serviceNamed(core.world, params.name)
    const revision = await core.submit({ kind: 'scale-service', service: params.name, replicas: body.replicas })
    return { revision }
  })

  const rollback = {
    summary: 'Goes back to the version before',
    params: NameParams,
    response: { 200: ChangeAnswer },
  }
  api.post<ByName>('/v1/services/:name/rollback', { schema: rollback }, async ({ params }) => {
    serviceNamed(core.world, params.name)
    return { revision: await core.submit({ kind: 'rollback-service', service: params.name }) }
  })
}

export function serviceNamed(world: World, name: string): Service {
  const service = world.services.get(name)
  if (service) return service
  const short = [...world.services.values()].find((other) => other.shortName === name)
  const hint = short ? `did you mean ${short.name}?` : '`berth services` lists them'
  throw new BerthError('service-not-found', `there is no service ${name}; ${hint}`, { details: { service: name } })
}
