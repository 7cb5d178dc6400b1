import { expect, test } from 'vitest'
import { viewDiscovery } from '../../../coordinator/api/view-discovery.ts'
import { loadText } from '../../../coordinator/metrics/load-text.ts'
import { Totals } from '../../../coordinator/metrics/totals.ts'
import type { World } from '../../../coordinator/world.ts'
import { aHostLoad, aNode, aService, aTask, aWorld, NOW } from '../../build/world.ts'
import { parseExposition } from './exposition.ts'

function aMeasuredWorld(): World {
  const world = aWorld({
    nodes: [aNode({ name: 'n1' })],
    services: [aService({ name: 'shop_web' })],
    tasks: [aTask({ id: 't1', service: 'shop_web', slot: 1, node: 'n1', state: 'running' })],
  })
  const node = world.nodes.get('n1')!
  node.load = aHostLoad({ cpuCoresUsed: 1.5, memoryBytesTotal: 1000, memoryBytesUsed: 400, loadAverage1m: 2 })
  node.load.detail = {
    cpuCoresUser: 1,
    cpuCoresSystem: 0.5,
    cpuCoresIowait: 0,
    cpuCoresSteal: 0,
    loadAverage5m: 3,
    loadAverage15m: 4,
    swapBytesUsed: 1,
    swapBytesTotal: 8,
    uptimeSeconds: 60,
  }
  node.containerLoads.set('t1', {
    task: 't1',
    cpuCoresUsed: 0.5,
    memoryBytesUsed: 64,
    networkReceiveBytesPerSecond: 10,
    oomKills: 2,
    healthCheckMs: 250,
  })
  return world
}

test('nodes, services and tasks are told by the names that node_exporter and cAdvisor use', () => {
  const world = aMeasuredWorld()
  const totals = new Totals()
  totals.add(world.nodes.get('n1')!, NOW)
  totals.add(world.nodes.get('n1')!, NOW + 4_000)
  const { samples } = parseExposition(loadText(world, totals))
  const value = (name: string, labels: Record<string, string>) =>
    samples.find((one) => one.name === name && Object.entries(labels).every(([key, text]) => one.labels[key] === text))
      ?.value
  expect(value('node_load1', { node: 'n1' })).toBe(2)
  expect(value('node_load15', { node: 'n1' })).toBe(4)
  expect(value('berth_node_swap_bytes_used', { node: 'n1' })).toBe(1)
  expect(value('node_cpu_seconds_total', { node: 'n1', mode: 'user' })).toBe(4)
  expect(value('node_cpu_seconds_total', { node: 'n1', mode: 'system' })).toBe(2)
  const ofTask = { id: 't1', name: 'shop_web.1', service: 'shop_web', node: 'n1' }
  expect(value('container_cpu_usage_seconds_total', ofTask)).toBe(2)
  expect(value('container_memory_working_set_bytes', ofTask)).toBe(64)
  expect(value('container_network_receive_bytes_total', ofTask)).toBe(40)
  expect(value('container_oom_events_total', ofTask)).toBe(2)
  expect(value('berth_task_health_check_seconds', ofTask)).toBe(0.25)
  expect(value('berth_service_tasks', { service: 'shop_web', state: 'running' })).toBe(1)
  expect(value('berth_tasks_without_series', {})).toBe(0)
})

test('the text follows the form: each family once with help and type, counters end in _total, no series twice', () => {
  const world = aMeasuredWorld()
  const service = world.services.get('shop_web')!
  service.versions.get(service.version)!.spec.task.container.image = 'odd"name\\\n'
  const { samples, offences } = parseExposition(loadText(world, undefined))
  expect(offences).toEqual([])
  expect(samples.find(({ labels }) => labels.image !== undefined)?.labels.image).toBe('odd"name\\\n')
})

test('a counter stands still while its node is away, and goes on from where it was', () => {
  const node = aMeasuredWorld().nodes.get('n1')!
  const totals = new Totals()
  for (const at of [0, 1_000, 601_000, 602_000]) totals.add(node, NOW + at)
  expect(totals.task('n1', 't1')?.cpuSeconds).toBe(1)
})

test('a running task with the label is a target at the host port that its port is published on', () => {
  const world = aMeasuredWorld()
  const task = world.tasks.get('t1')!
  const { versions, version } = world.services.get('shop_web')!
  const { container } = versions.get(version)!.spec.task
  const node = world.nodes.get('n1')!
  node.connection = { instance: 'i', openedAt: NOW, address: '10.0.0.7', wireVersion: 1 }
  expect(viewDiscovery(world)).toEqual({ targets: [], leftOut: [] })
  container.labels = { 'prometheus.io/port': '9100', 'prometheus.io/path': '/stats' }
  expect(viewDiscovery(world)).toEqual({
    targets: [],
    leftOut: [{ task: 'shop_web.1', why: 'its port 9100 is not published' }],
  })
  task.observed.ports = [{ containerPort: 9100, hostPort: 32768, protocol: 'tcp' }]
  expect(viewDiscovery(world)).toMatchObject({
    targets: [
      {
        targets: ['10.0.0.7:32768'],
        labels: { __metrics_path__: '/stats', berth_service: 'shop_web', berth_task: 'shop_web.1', berth_node: 'n1' },
      },
    ],
    leftOut: [],
  })
  container.labels = { 'prometheus.io/port': 'http' }
  expect(viewDiscovery(world).leftOut).toEqual([
    { task: 'shop_web.1', why: 'prometheus.io/port is "http", not a port' },
  ])
})

test('what goes through disks and interfaces is told of each where the agent tells that, and of all together else', () => {
  const world = aWorld({ nodes: [aNode({ name: 'n1' }), aNode({ name: 'older' }), aNode({ name: 'gone' })] })
  const load = aHostLoad({ networkReceiveBytesPerSecond: 10, diskReadBytesPerSecond: 20 })
  const totals = new Totals()
  for (const node of world.nodes.values()) {
    node.load = load
    totals.add(node, NOW)
    totals.add(node, NOW + 1_000)
  }
  const disks = ['sda', 'nvme0n1'].map((device) => ({ device, readBytes: 7, writtenBytes: 8 }))
  const networks = [{ device: 'eth0', receivedBytes: 9, sentBytes: 2 ** 53 }]
  for (const node of ['n1', 'gone']) totals.hear(node, { disks, networks })
  world.nodes.delete('gone')
  totals.keepOnly((node) => world.nodes.has(node))
  const { samples } = parseExposition(loadText(world, totals))
  const of = (name: string) =>
    samples.filter((one) => one.name === name).map(({ labels, value }) => [labels.node, labels.device, value])
  expect(of('node_network_receive_bytes_total')).toEqual([
    ['n1', 'eth0', 9],
    ['older', undefined, 10],
  ])
  expect(of('node_network_transmit_bytes_total')[0]).toEqual(['n1', 'eth0', 2 ** 53])
  expect(of('node_disk_read_bytes_total')).toEqual([
    ['n1', 'sda', 7],
    ['n1', 'nvme0n1', 7],
    ['older', undefined, 20],
  ])
  expect(of('node_disk_written_bytes_total')[1]).toEqual(['n1', 'nvme0n1', 8])
  expect(totals.devices('gone')).toBeUndefined()
})
