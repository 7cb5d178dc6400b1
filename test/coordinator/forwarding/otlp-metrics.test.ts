import { expect, test } from 'vitest'
import { otlpMetrics } from '../../../coordinator/forwarding/formats/otlp-metrics.ts'
import { nanoseconds } from '../../../coordinator/forwarding/line.ts'
import { Totals } from '../../../coordinator/metrics/totals.ts'
import { aHostLoad, aNode, aService, aTask, aWorld, NOW, nodes } from '../../build/world.ts'

type Point = { attributes: { key: string; value: { stringValue: string } }[]; asInt?: string; asDouble?: number }
type Values = { dataPoints: (Point & { timeUnixNano: string; startTimeUnixNano?: string })[] }
type Metric = {
  name: string
  unit: string
  gauge?: Values
  sum?: Values & { isMonotonic: boolean; aggregationTemporality: number }
}
type Body = {
  resourceMetrics: { resource: { attributes: Point['attributes'] }; scopeMetrics: { metrics: Metric[] }[] }[]
}

const inWords = (attributes: Point['attributes']) =>
  attributes.map(({ key, value }) => `${key}=${value.stringValue}`).join(' ')

function aMeasuredWorld() {
  const world = aWorld({
    nodes: [aNode({ name: 'n1' })],
    services: [aService({ name: 'shop_web' })],
    tasks: [aTask({ id: 't1', service: 'shop_web', node: 'n1', state: 'running', observed: { containerId: 'c1' } })],
  })
  const node = world.nodes.get('n1')!
  node.load = aHostLoad({ memoryBytesUsed: 400, networkReceiveBytesPerSecond: 10, loadAverage1m: 2 })
  node.containerLoads.set('t1', {
    task: 't1',
    cpuCoresUsed: 0.5,
    memoryBytesUsed: 64.4,
    networkReceiveBytesPerSecond: 3,
  })
  const totals = new Totals()
  totals.add(node, NOW)
  totals.add(node, NOW + 4_000)
  return { world, totals }
}

test('nodes, services and tasks are resources, their figures named and counted as OpenTelemetry does', () => {
  const { world, totals } = aMeasuredWorld()
  const bodies = [...otlpMetrics({ world, totals, startedAt: NOW - 1_000, now: NOW + 4_000 })]
  expect(bodies).toHaveLength(1)
  const { resourceMetrics } = JSON.parse(bodies[0]!) as Body
  expect(resourceMetrics.map(({ resource }) => inWords(resource.attributes))).toEqual([
    `service.name=berth berth.cluster=${world.cluster}`,
    'service.name=berth host.name=n1',
    'service.name=web service.namespace=shop',
    'service.name=web service.namespace=shop service.instance.id=t1 host.name=n1 container.id=c1',
  ])
  const metric = (index: number, name: string) =>
    resourceMetrics[index]!.scopeMetrics[0]!.metrics.find((each) => each.name === name)
  const times = { startTimeUnixNano: nanoseconds(NOW - 1_000), timeUnixNano: nanoseconds(NOW + 4_000) }
  expect(metric(3, 'container.cpu.time')).toEqual({
    ...{ name: 'container.cpu.time', unit: 's' },
    sum: { dataPoints: [{ ...times, attributes: [], asDouble: 2 }], aggregationTemporality: 2, isMonotonic: true },
  })
  const received = metric(3, 'container.network.io')!.sum!
  expect(received.dataPoints.map((point) => [inWords(point.attributes), point.asInt])).toEqual([
    ['network.io.direction=receive', '12'],
    ['network.io.direction=transmit', '0'],
  ])
  expect(metric(3, 'container.memory.working_set')!.sum).toMatchObject({
    isMonotonic: false,
    dataPoints: [{ asInt: '64' }],
  })
  expect(metric(1, 'system.network.io')!.sum!.dataPoints[0]!.asInt).toBe('40')
  const { timeUnixNano } = times
  expect(metric(1, 'berth.node.load_average.1m')!.gauge!.dataPoints).toEqual([
    { timeUnixNano, attributes: [], asDouble: 2 },
  ])
  const running = metric(2, 'berth.service.tasks')!.gauge!.dataPoints.find(
    ({ attributes }) => inWords(attributes) === 'state=running',
  )
  expect(running!.asDouble).toBe(1)
  // What nobody knows is not told as nought.
  expect(metric(3, 'berth.task.memory.limit')).toBeUndefined()
})

test('a large fleet is told in several bodies', () => {
  const picture = { world: aWorld({ nodes: nodes(900) }), totals: new Totals(), startedAt: NOW, now: NOW }
  const sizes = [...otlpMetrics(picture)].map((body) => (JSON.parse(body) as Body).resourceMetrics.length)
  expect(sizes).toEqual([400, 400, 101])
})
