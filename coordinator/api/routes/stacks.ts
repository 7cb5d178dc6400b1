/** Stacks: what is deployed, deploying, removing. */
import type { FastifyInstance } from 'fastify'
import {
  ChangeAnswer,
  DeployAnswer,
  DeployQuery,
  NameParams,
  Page,
  PageQuery,
  StackDocument,
} from '../../../shared/api.ts'
import { BerthError } from '../../../shared/errors.ts'
import { StackSpec } from '../../../shared/spec.ts'
import { admit } from '../../decide/admit.ts'
import type { World } from '../../world.ts'
import type { RouteParts } from '../api.ts'
import { page } from '../paging.ts'
import { servicesOf } from '../progress.ts'
import { viewStack } from '../view-service.ts'

type ByName = { Params: { name: string } }

export function stackRoutes(api: FastifyInstance, { core }: RouteParts): void {
  const list = { summary: 'All stacks', querystring: PageQuery, response: { 200: Page(StackDocument) } }
  api.get<{ Querystring: PageQuery }>('/v1/stacks', { schema: list }, ({ query }) =>
    page(
      core.world.stacks.values(),
      query,
      (stack) => stack.name,
      (stack) => viewStack(core.world, stack),
    ),
  )

  const deploy = {
    summary: 'Deploys a stack: makes its services be what the body says; prune removes those it does not name',
    params: NameParams,
    querystring: DeployQuery,
    body: StackSpec,
    response: { 200: DeployAnswer },
  }
  api.put<ByName & { Querystring: { prune?: boolean }; Body: StackSpec }>(
    '/v1/stacks/:name',
    { schema: deploy },
    async ({ params, query, body }) => {
      if (body.name !== params.name) throw namesDiffer(params.name, body.name)
      const change = { kind: 'deploy-stack' as const, spec: body, prune: query.prune ?? true }
      // Judged on the very world that `submit` judges it on again; only there a no counts.
      const verdict = admit(core.world, change)
      const revision = await core.submit(change)
      const services = servicesOf(core.world, params.name).filter((service) => !service.removing)
      return {
        deployment: core.world.stacks.get(params.name)?.deployment ?? 0,
        revision,
        services: services.map((service) => service.name).sort(),
        warnings: [...(verdict.ok ? verdict.warnings : []), ...deployWarnings(core.world)],
      }
    },
  )

  const remove = { summary: 'Removes a stack and all its tasks', params: NameParams, response: { 200: ChangeAnswer } }
  api.delete<ByName>('/v1/stacks/:name', { schema: remove }, async ({ params }) => {
    stackNamed(core.world, params.name)
    return { revision: await core.submit({ kind: 'remove-stack', stack: params.name }) }
  })
}

export function stackNamed(world: World, name: string): void {
  if (world.stacks.has(name) || servicesOf(world, name).length > 0) return
  throw new BerthError('stack-not-found', `there is no stack ${name}; \`berth stacks\` lists them`, {
    details: { stack: name },
  })
}

/** What is accepted and yet will not run as things are. That there is no node at all is admission's to say. */
function deployWarnings(world: World): string[] {
  if (world.nodes.size === 0) return []
  const ready = [...world.nodes.values()].some((node) => node.status.name === 'ready' && node.availability === 'active')
  return ready ? [] : ['no node is ready to take tasks; they wait until one is']
}

function namesDiffer(path: string, body: string): BerthError {
  return new BerthError(
    'invalid-request',
    `name is ${body} in the body, but ${path} in the path; they must be the same`,
    {
      details: { field: 'name' },
    },
  )
}
