/** Metrics over time, and who uses most now. */
import type { FastifyInstance } from 'fastify'
import {
  DiscoveryDocument,
  MetricNameDocument,
  MetricsDocument,
  MetricsQuery,
  TopDocument,
  TopQuery,
} from '../../../shared/api.ts'
import { BerthError } from '../../../shared/errors.ts'
import { METRICS, type Reduction } from '../../../shared/metric-names.ts'
import Type from '../../../shared/schema.ts'
import type { MetricsStore } from '../../metrics-store/metrics-store.ts'
import { askMetrics, type MetricsQuery as Question, type Reduce } from '../../metrics-store/query.ts'
import { TIERS } from '../../metrics-store/tiers.ts'
import type { World } from '../../world.ts'
import type { RouteParts } from '../api.ts'
import { viewDiscovery } from '../view-discovery.ts'
import { viewTop } from '../view-top.ts'
import { isoTime } from '../words.ts'
import { serviceNamed } from './services.ts'
import { stackNamed } from './stacks.ts'
import { taskNamed } from './tasks.ts'

const HOUR_SECONDS = 3600
const KEPT_SECONDS_MAX = Math.max(...TIERS.map(({ keepSeconds }) => keepSeconds))
/** About as many as a terminal has columns. */
const STEPS_DEFAULT = 120
const STEPS_OF_SECONDS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400]

export function metricsRoutes(api: FastifyInstance, { core, history, clock }: RouteParts): void {
  const one = {
    summary: 'One metric of nodes or tasks over time; without since: the last hour',
    querystring: MetricsQuery,
    response: { 200: MetricsDocument },
  }
  api.get<{ Querystring: MetricsQuery }>('/v1/metrics', { schema: one }, async ({ query }) => {
    const store = history?.store
    if (!store) throw new BerthError('conflict', history?.why ?? 'no metrics are kept')
    refuseUnknownNames(core.world, store, query)
    const now = clock.now()
    const question = questionOf(query, Math.floor(now / 1000))
    const { metric, of, from, stepSeconds, resolutionSeconds, lines, next } = await askMetrics(store, question, now)
    const { reduce = 'mean' } = query
    return {
      metric: metric.name,
      unit: reduce === 'rate' ? `${metric.unit}/s` : metric.unit,
      of,
      by: question.by,
      reduce,
      from: isoTime(from * 1000),
      stepSeconds,
      resolutionSeconds,
      lines,
      next,
    }
  })

  const names = { summary: 'Which metrics there are', response: { 200: Type.Array(MetricNameDocument) } }
  api.get('/v1/metrics/names', { schema: names }, () =>
    METRICS.map(({ name, unit, of, isCounter = false, about }) => ({ name, unit, of: [...of], isCounter, about })),
  )

  const discovery = {
    summary: "Targets for Prometheus' http_sd: running tasks with the label prometheus.io/port",
    response: { 200: DiscoveryDocument },
  }
  api.get('/v1/discovery/prometheus', { schema: discovery }, () => viewDiscovery(core.world).targets)

  const top = { summary: 'Which tasks or nodes use most now', querystring: TopQuery, response: { 200: TopDocument } }
  api.get<{ Querystring: TopQuery }>('/v1/top', { schema: top }, ({ query }) => {
    const { stack, service, node } = query
    if (stack !== undefined) stackNamed(core.world, stack)
    if (service !== undefined) serviceNamed(core.world, service)
    if (node !== undefined && !core.world.nodes.has(node)) throw noNode(node)
    return viewTop(core.world, query, clock.now())
  })
}

/** Steps begin at whole multiples of their length, so that the same question a little later draws the same steps. */
function questionOf(query: MetricsQuery, nowSeconds: number): Question {
  const { metric, stack, service, task, node, of, reduce = 'mean', after } = query
  const to = query.until === undefined ? nowSeconds + 1 : Math.ceil(query.until / 1000)
  const asked = query.since === undefined ? to - HOUR_SECONDS : Math.floor(query.since / 1000)
  // Nothing older is kept: steps over more than that would be too coarse for what there is.
  const since = Math.max(asked, Math.min(nowSeconds - KEPT_SECONDS_MAX, to - 1))
  const stepSeconds = query.stepSeconds ?? stepFor(to - since)
  const from = since - (since % stepSeconds)
  const names = { ...(stack && { stack }), ...(service && { service }), ...(task && { task }), ...(node && { node }) }
  const by =
    query.by ?? (task !== undefined || service !== undefined ? 'task' : stack !== undefined ? 'service' : 'node')
  const rest = { ...(of && { of }), ...(after !== undefined && { after }) }
  return { metric, ...names, ...rest, from, to, stepSeconds, reduce: reduceOf(reduce), by }
}

function stepFor(seconds: number): number {
  return STEPS_OF_SECONDS.find((step) => seconds / step <= STEPS_DEFAULT) ?? Math.ceil(seconds / STEPS_DEFAULT)
}

function reduceOf(name: Reduction): Reduce {
  if (name === 'mean' || name === 'max' || name === 'min' || name === 'rate') return { kind: name }
  return { kind: 'percentile', percent: Number(name.slice(1)) }
}

/** What is gone from the world may have points still. */
function refuseUnknownNames(world: World, store: MetricsStore, { stack, service, task, node }: MetricsQuery): void {
  if (stack !== undefined && !world.stacks.has(stack) && !has(store, 'stack', stack)) stackNamed(world, stack)
  if (service !== undefined && !world.services.has(service) && !has(store, 'service', service))
    serviceNamed(world, service)
  if (task !== undefined && !has(store, 'id', task) && !has(store, 'name', task)) taskNamed(world, task)
  if (node !== undefined && !world.nodes.has(node) && !has(store, 'node', node)) throw noNode(node)
}

function has(store: MetricsStore, member: 'stack' | 'service' | 'id' | 'name' | 'node', name: string): boolean {
  for (const subject of store.subjects()) {
    if (member === 'node' ? subject.node === name : subject.kind === 'task' && subject[member] === name) return true
  }
  return false
}

function noNode(node: string): BerthError {
  return new BerthError('node-not-found', `there is no node ${node}; \`berth nodes\` lists them`, { details: { node } })
}
