/**
 * Load of nodes and tasks as `POST /v1/metrics` of OTLP takes it, by the names of OpenTelemetry's semantic conventions
 * (https://opentelemetry.io/docs/specs/semconv/system/) where they have one, else by Berth's.
 */
import type { ContainerLoad } from '../../../shared/load.ts'
import { countTasks, tasksOf } from '../../api/counts.ts'
import { SERVICE_SERIES_MAX, TASK_SERIES_MAX } from '../../metrics/load-text.ts'
import type { ContainerTotals, HostTotals, Totals } from '../../metrics/totals.ts'
import { NODE_SERIES_MAX, NODE_STATUS_NAMES } from '../../metrics/world-metrics.ts'
import type { Node, Service, Task, World } from '../../world.ts'
import { nanoseconds } from '../line.ts'
import { type Attribute, attributes, containerResource, SCOPE } from './otlp.ts'

export type MetricsPicture = {
  world: World
  totals: Totals
  /** When counters began, epoch ms. */
  startedAt: number
  now: number
}

/** A body has figures of so many nodes, services and tasks: about a megabyte. */
const RESOURCES_MAX = 400

type Kind = 'counter' | 'up-down' | 'gauge'
type Point = [value: number | undefined, labels?: Record<string, string>]
type Figure = { name: string; unit: string; kind: Kind; points: Point[] }
type Resource = { resource: { attributes: Attribute[] }; figures: Figure[] }

/** As many bodies as it takes; of more nodes, services and tasks than `/metrics` has, the first so many. */
export function* otlpMetrics(picture: MetricsPicture): Generator<string> {
  let some: Resource[] = []
  for (const resource of resourcesOf(picture)) {
    some.push(resource)
    if (some.length < RESOURCES_MAX) continue
    yield bodyOf(some, picture)
    some = []
  }
  if (some.length > 0) yield bodyOf(some, picture)
}

function* resourcesOf({ world, totals }: MetricsPicture): Generator<Resource> {
  yield clusterResource(world)
  for (const node of [...world.nodes.values()].slice(0, NODE_SERIES_MAX)) {
    const resource = { attributes: attributes({ 'service.name': 'berth', 'host.name': node.name }) }
    yield { resource, figures: nodeFigures(node, totals.host(node.name)) }
  }
  for (const service of [...world.services.values()].slice(0, SERVICE_SERIES_MAX)) yield serviceResource(world, service)
  let left = TASK_SERIES_MAX
  for (const node of world.nodes.values()) {
    for (const load of node.containerLoads.values()) {
      const task = world.tasks.get(load.task)
      if (task?.node !== node.name) continue
      if (left === 0) return
      left -= 1
      yield taskResource(world, task, load, totals.task(node.name, task.id))
    }
  }
}

/** There always is one, so that a target hears of a cluster without nodes as well. */
function clusterResource({ cluster, nodes }: World): Resource {
  const count = (status: string) => [...nodes.values()].filter((node) => node.status.name === status).length
  const points = NODE_STATUS_NAMES.map((state): Point => [count(state), { state }])
  return {
    resource: { attributes: attributes({ 'service.name': 'berth', 'berth.cluster': cluster }) },
    figures: [gauge('berth.nodes', '{node}', points)],
  }
}

function nodeFigures({ load }: Node, totals: HostTotals | undefined): Figure[] {
  const detail = load?.detail
  const pressure = load?.pressure
  return [
    counter('system.cpu.time', 's', [
      [totals?.cpuSecondsUser, { 'cpu.mode': 'user' }],
      [totals?.cpuSecondsSystem, { 'cpu.mode': 'system' }],
      [totals?.cpuSecondsIowait, { 'cpu.mode': 'iowait' }],
      [totals?.cpuSecondsSteal, { 'cpu.mode': 'steal' }],
      [totals?.cpuSecondsIdle, { 'cpu.mode': 'idle' }],
    ]),
    upDown('system.memory.usage', 'By', [[load?.memoryBytesUsed, { 'system.memory.state': 'used' }]]),
    upDown('system.memory.limit', 'By', [[load?.memoryBytesTotal]]),
    upDown('system.paging.usage', 'By', [[detail?.swapBytesUsed, { 'system.paging.state': 'used' }]]),
    upDown('system.filesystem.usage', 'By', [
      [load?.diskBytesUsed, { 'system.filesystem.state': 'used' }],
      [load === null ? undefined : load.diskBytesTotal - load.diskBytesUsed, { 'system.filesystem.state': 'free' }],
    ]),
    counter(
      'system.disk.io',
      'By',
      directions('disk.io.direction', 'read', totals?.readBytes, 'write', totals?.writtenBytes),
    ),
    counter(
      'system.network.io',
      'By',
      directions('network.io.direction', 'receive', totals?.receivedBytes, 'transmit', totals?.sentBytes),
    ),
    gauge('system.uptime', 's', [[detail?.uptimeSeconds]]),
    gauge('berth.node.load_average.1m', '{thread}', [[load?.loadAverage1m]]),
    gauge('berth.node.pressure', '1', [
      [shareOf(pressure?.cpuSome), { resource: 'cpu', stalled: 'some' }],
      [shareOf(pressure?.memorySome), { resource: 'memory', stalled: 'some' }],
      [shareOf(pressure?.memoryFull), { resource: 'memory', stalled: 'all' }],
      [shareOf(pressure?.ioSome), { resource: 'io', stalled: 'some' }],
      [shareOf(pressure?.ioFull), { resource: 'io', stalled: 'all' }],
    ]),
  ]
}

function serviceResource(world: World, service: Service): Resource {
  const counts = Object.entries(countTasks(service, tasksOf(world, service.name)))
  const origin = { service: service.name, stack: service.stack, node: '', task: '', container: '' }
  const points = counts.map(([state, count]): Point => [count, { state }])
  return { resource: containerResource(origin), figures: [gauge('berth.service.tasks', '{task}', points)] }
}

function taskResource(world: World, task: Task, load: ContainerLoad, totals: ContainerTotals | undefined): Resource {
  const { id, service, node, observed } = task
  const stack = world.services.get(service)?.stack ?? ''
  const origin = { service, stack, node: node ?? '', task: id, container: observed.containerId ?? '' }
  return {
    resource: containerResource(origin),
    figures: [
      counter('container.cpu.time', 's', [[totals?.cpuSeconds]]),
      gauge('container.cpu.usage', '{cpu}', [[load.cpuCoresUsed]]),
      upDown('container.memory.working_set', 'By', [[load.memoryBytesUsed]]),
      counter(
        'container.disk.io',
        'By',
        directions('disk.io.direction', 'read', totals?.readBytes, 'write', totals?.writtenBytes),
      ),
      counter(
        'container.network.io',
        'By',
        directions('network.io.direction', 'receive', totals?.receivedBytes, 'transmit', totals?.sentBytes),
      ),
      gauge('berth.task.memory.limit', 'By', [[load.memoryBytesLimit]]),
      gauge('berth.task.cpu.throttled', '1', [[load.cpuThrottledShare]]),
      gauge('berth.task.processes', '{process}', [[load.processes]]),
      gauge('berth.task.restarts', '{restart}', [[Math.max(0, observed.attempt - 1)]]),
      gauge('berth.task.oom_kills', '{process}', [[load.oomKills]]),
    ],
  }
}

const counter = (name: string, unit: string, points: Point[]): Figure => ({ name, unit, kind: 'counter', points })
const upDown = (name: string, unit: string, points: Point[]): Figure => ({ name, unit, kind: 'up-down', points })
const gauge = (name: string, unit: string, points: Point[]): Figure => ({ name, unit, kind: 'gauge', points })

function directions(
  label: string,
  one: string,
  first: number | undefined,
  other: string,
  second: number | undefined,
): Point[] {
  return [
    [first, { [label]: one }],
    [second, { [label]: other }],
  ]
}

function shareOf(percent: number | undefined): number | undefined {
  return percent === undefined ? undefined : percent / 100
}

// ---------------------------------------------------------------- the body

function bodyOf(resources: Resource[], picture: MetricsPicture): string {
  const resourceMetrics = resources.map(({ resource, figures }) => ({
    resource,
    scopeMetrics: [{ scope: SCOPE, metrics: figures.flatMap((figure) => metricOf(figure, picture)) }],
  }))
  return JSON.stringify({ resourceMetrics })
}

/** Cumulative, as 2 stands for. */
const CUMULATIVE = 2

/** None, when nobody knows a value of it. */
function metricOf({ name, unit, kind, points }: Figure, { startedAt, now }: MetricsPicture): object[] {
  const times = {
    ...(kind !== 'gauge' && { startTimeUnixNano: nanoseconds(startedAt) }),
    timeUnixNano: nanoseconds(now),
  }
  const dataPoints = points.flatMap(([value, labels = {}]) =>
    value === undefined ? [] : { ...times, attributes: attributes(labels), ...numberOf(value, unit) },
  )
  if (dataPoints.length === 0) return []
  if (kind === 'gauge') return [{ name, unit, gauge: { dataPoints } }]
  const isMonotonic = kind === 'counter'
  return [{ name, unit, sum: { dataPoints, aggregationTemporality: CUMULATIVE, isMonotonic } }]
}

/** Bytes are whole; 64-bit integers are digits in a string. */
function numberOf(value: number, unit: string): object {
  return unit === 'By' ? { asInt: String(Math.round(value)) } : { asDouble: value }
}
