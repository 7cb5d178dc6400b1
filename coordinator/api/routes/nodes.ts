/** Nodes: looking at them, draining, labelling and removing them. */
import type { FastifyInstance } from 'fastify'
import {
  ChangeAnswer,
  LabelsBody,
  NameParams,
  NodeBody,
  NodeDocument,
  Page,
  PageQuery,
  TaintsBody,
} from '../../../shared/api.ts'
import { BerthError } from '../../../shared/errors.ts'
import type { Node, World } from '../../world.ts'
import type { RouteParts } from '../api.ts'
import { page } from '../paging.ts'
import { viewNode } from '../view-node.ts'

type ByName = { Params: { name: string } }

export function nodeRoutes(api: FastifyInstance, { core }: RouteParts): void {
  const list = { summary: 'All nodes', querystring: PageQuery, response: { 200: Page(NodeDocument) } }
  api.get<{ Querystring: PageQuery }>('/v1/nodes', { schema: list }, ({ query }) =>
    page(
      core.world.nodes.values(),
      query,
      (node) => node.name,
      (node) => viewNode(core.world, node),
    ),
  )

  const one = { summary: 'One node', params: NameParams, response: { 200: NodeDocument } }
  api.get<ByName>('/v1/nodes/:name', { schema: one }, ({ params }) =>
    viewNode(core.world, nodeNamed(core.world, params.name)),
  )

  for (const [verb, availability] of [
    ['drain', 'drain'],
    ['activate', 'active'],
  ] as const) {
    const schema = { summary: `Sets the node to ${availability}`, params: NameParams, response: { 200: ChangeAnswer } }
    api.post<ByName>(`/v1/nodes/:name/${verb}`, { schema }, async ({ params }) => {
      nodeNamed(core.world, params.name)
      return { revision: await core.submit({ kind: 'set-availability', node: params.name, availability }) }
    })
  }

  const remove = {
    summary: 'Forgets the node; its certificate is refused from then on',
    params: NameParams,
    response: { 200: ChangeAnswer },
  }
  api.delete<ByName>('/v1/nodes/:name', { schema: remove }, async ({ params }) => {
    nodeNamed(core.world, params.name)
    return { revision: await core.submit({ kind: 'remove-node', node: params.name }) }
  })

  const taint = {
    summary: 'Sets and removes taints of the node',
    params: NameParams,
    body: TaintsBody,
    response: { 200: ChangeAnswer },
  }
  api.put<ByName & { Body: TaintsBody }>('/v1/nodes/:name/taints', { schema: taint }, async ({ params, body }) => {
    nodeNamed(core.world, params.name)
    const { set = [], remove = [] } = body
    return { revision: await core.submit({ kind: 'taint-node', node: params.name, set, remove }) }
  })

  const set = {
    summary: 'Sets what of the node is kept back from promises, and how many times the rest may be promised',
    params: NameParams,
    body: NodeBody,
    response: { 200: ChangeAnswer },
  }
  api.patch<ByName & { Body: NodeBody }>('/v1/nodes/:name', { schema: set }, async ({ params, body }) => {
    nodeNamed(core.world, params.name)
    const { reserve = {}, overcommit = {} } = body
    return { revision: await core.submit({ kind: 'set-node', node: params.name, reserve, overcommit }) }
  })

  const label = {
    summary: 'Sets and removes labels of the node',
    params: NameParams,
    body: LabelsBody,
    response: { 200: ChangeAnswer },
  }
  api.put<ByName & { Body: LabelsBody }>('/v1/nodes/:name/labels', { schema: label }, async ({ params, body }) => {
    nodeNamed(core.world, params.name)
    const { set = {}, remove = [] } = body
    return { revision: await core.submit({ kind: 'label-node', node: params.name, set, remove }) }
  })
}

export function nodeNamed(world: World, name: string): Node {
  const node = world.nodes.get(name)
  if (node) return node
  throw new BerthError('node-not-found', `there is no node ${name}; \`berth nodes\` lists them`, {
    details: { node: name },
  })
}
