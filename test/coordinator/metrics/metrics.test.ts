import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createMetrics, type Metrics, type WireCounts } from '../../../coordinator/metrics/metrics.ts'
import { NODE_SERIES_MAX, worldFigures } from '../../../coordinator/metrics/world-metrics.ts'
import type { World } from '../../../coordinator/world.ts'
import { aNode, aService, aTask, aWorld, NOW, nodes } from '../../build/world.ts'
import { parseExposition } from './exposition.ts'

const GiB = 1024 ** 3
let metrics: Metrics

beforeEach(() => {
  metrics = createMetrics()
})
afterEach(() => metrics.close())

/** `name{labels}` → value, of all lines that are no comments. */
async function told(): Promise<Record<string, number>> {
  const lines = (await metrics.metrics()).split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  return Object.fromEntries(lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.split(' ').at(-1))]))
}

function aBusyWorld(): World {
  const reserving = aService({ name: 'shop_web', spec: { cpuCores: 0.5, memoryBytes: GiB } })
  return aWorld({
    nodes: [
      aNode({ name: 'n1', cpuCores: 4, memoryBytes: 8 * GiB }),
      aNode({ name: 'n2', availability: 'drain', status: { name: 'lost', since: NOW, why: 'silent' } }),
    ],
    services: [reserving],
    tasks: [
      aTask({ id: 'a', slot: 1, node: 'n1' }),
      aTask({ id: 'b', slot: 2, node: 'n1', state: 'restarting' }),
      aTask({ id: 'c', slot: 3, node: 'n1', state: 'failed' }),
      aTask({ id: 'd', slot: 4, node: null }),
    ],
  })
}

describe('the world in figures', () => {
  test('is told as it is when somebody asks', async () => {
    let world = aBusyWorld()
    const sampled = {
      task: 'a',
      cpuCoresUsed: 1,
      memoryBytesUsed: 1,
      sampledEveryMs: 1000,
      sampledBecause: 'throttled',
    } as const
    world.nodes.get('n1')!.containerLoads.set('a', sampled)
    metrics.watch({ world: () => world, now: () => NOW, storeBytes: () => 4096 })
    expect(await told()).toMatchObject({
      'berth_nodes{status="ready"}': 1,
      'berth_nodes{status="lost"}': 1,
      'berth_nodes{status="joining"}': 0,
      berth_nodes_draining: 1,
      'berth_tasks{state="running"}': 1,
      'berth_tasks{state="restarting"}': 1,
      'berth_tasks{state="failed"}': 1,
      'berth_tasks{state="waiting"}': 1,
      berth_tasks_waiting: 1,
      'berth_node_cpu_cores{node="n1"}': 4,
      'berth_tasks_sampled{because="throttled"}': 1,
      'berth_tasks_sampled{because="calm"}': 0,
      'berth_node_cpu_cores_promised{node="n1"}': 1,
      'berth_node_memory_bytes_promised{node="n1"}': 2 * GiB,
      berth_store_size_bytes: 4096,
    })
    world = aWorld({ nodes: [aNode({ name: 'n3' })] })
    const later = await told()
    expect(later).toMatchObject({ 'berth_nodes{status="lost"}': 0, berth_tasks_waiting: 0 })
    expect(later).not.toHaveProperty('berth_node_cpu_cores{node="n1"}')
  })

  test('a task that has ended holds no promise', () => {
    const [first] = worldFigures(aBusyWorld(), NOW).nodes
    expect(first).toMatchObject({ node: 'n1', cpuCoresPromised: 1, memoryBytesPromised: 2 * GiB })
  })

  test('a fleet beyond the bound keeps its totals, and says how many nodes have no series', () => {
    const figures = worldFigures(aWorld({ nodes: nodes(NODE_SERIES_MAX + 5) }), NOW)
    expect(figures.nodes).toHaveLength(NODE_SERIES_MAX)
    expect(figures.nodesLeftOut).toBe(5)
    expect(figures.nodesByStatus.ready).toBe(NODE_SERIES_MAX + 5)
  })
})

describe('what is counted elsewhere', () => {
  test('the wire’s counts are told as they stand, however often they are asked for', async () => {
    const counts: WireCounts = {
      sessions: 2,
      framesReceived: 100,
      bytesReceived: 5000,
      framesSent: 10,
      bytesSent: 700,
      logLinesDropped: 3,
      refused: new Map([['not-msgpack', 4]]),
    }
    metrics.watch({ world: () => aWorld(), now: () => NOW, wire: () => counts })
    await told()
    counts.framesReceived = 101
    expect(await told()).toMatchObject({
      berth_sessions: 2,
      'berth_wire_messages_total{direction="up"}': 101,
      'berth_wire_messages_total{direction="down"}': 10,
      'berth_wire_bytes_total{direction="up"}': 5000,
      'berth_wire_refused_total{reason="not-msgpack"}': 4,
      berth_log_lines_dropped_total: 3,
    })
  })

  test('beats, decisions and commits', async () => {
    metrics.beat({ durationMs: 3, stallMs: 1, decisions: [{ kind: 'forget-stack', stack: 'shop' }] })
    metrics.flush({ durationMs: 30, writes: 7, failed: false })
    metrics.flush({ durationMs: 30, writes: 7, failed: true })
    expect(await told()).toMatchObject({
      'berth_beat_duration_seconds_bucket{le="0.002"}': 0,
      'berth_beat_duration_seconds_bucket{le="0.005"}': 1,
      'berth_decisions_total{kind="forget-stack"}': 1,
      berth_store_commit_seconds_count: 2,
      berth_store_writes_total: 7,
      berth_store_commit_failures_total: 1,
    })
  })
})

test('the process and its event loop are told before there is a world', async () => {
  const figures = await told()
  expect(figures.process_resident_memory_bytes).toBeGreaterThan(0)
  expect(figures).toHaveProperty('berth_event_loop_delay_seconds{percentile="99"}')
  expect(Object.keys(figures).filter((name) => name.startsWith('nodejs_eventloop_lag'))).toEqual([])
})

test('nothing in the text offends against the form', async () => {
  metrics.watch({ world: aBusyWorld, now: () => NOW })
  metrics.beat({ durationMs: 1, decisions: [], stallMs: 1 })
  const { samples, offences } = parseExposition(await metrics.metrics())
  expect(offences).toEqual([])
  expect(samples.length).toBeGreaterThan(100)
})

test('two coordinators in one process do not share figures', async () => {
  const other = createMetrics()
  other.flush({ durationMs: 1, writes: 1, failed: false })
  expect(await told()).toMatchObject({ berth_store_writes_total: 0 })
  other.close()
})
