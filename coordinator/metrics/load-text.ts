/**
 * Nodes, services and tasks in Prometheus' text form, by the names that node_exporter and cAdvisor use where they have one. Written
 * by hand: with a registry each series of each task would be an object that is kept.
 */

import type { ContainerLoad } from '../../shared/load.ts'
import { countKinds, looksAt } from '../api/counts.ts'
import { taskName } from '../api/view-task.ts'
import { atOnce, type Steps } from '../decide/steps.ts'
import type { Node, Task, World } from '../world.ts'
import type { HostTotals, NodeDevices, Totals } from './totals.ts'
import { restartedUnmeasured, restartsOf } from './unmeasured.ts'
import { NODE_SERIES_MAX } from './world-metrics.ts'

/** Of more tasks the first so many by id are told; `berth_tasks_without_series` says how many are not. */
export const TASK_SERIES_MAX = 5_000
export const SERVICE_SERIES_MAX = 2_000

type Labels = Record<string, string>
type Sample<Of = Labels> = [labels: Of, value: number]

export function loadText(world: World, totals: Totals | undefined): string {
  return atOnce(loadTextInSteps(world, totals))
}

/** The same, to be interrupted after each family: what is told is of about this moment. */
export function* loadTextInSteps(world: World, totals: Totals | undefined): Steps<string> {
  const nodes = [...world.nodes.values()].sort((a, b) => (a.name < b.name ? -1 : 1)).slice(0, NODE_SERIES_MAX)
  const texts: string[] = []
  for (const families of [nodeFamilies(nodes, totals), serviceFamilies(world), taskFamilies(world, totals)]) {
    for (const text of families) {
      texts.push(text)
      yield
    }
  }
  return texts.join('')
}

// ---------------------------------------------------------------- nodes

function* nodeFamilies(nodes: Node[], totals: Totals | undefined): Iterable<string> {
  const each = (values: (node: Node) => (Sample | null)[]) =>
    nodes.flatMap((node) => values(node).flatMap((sample) => (sample === null ? [] : [withNode(node, sample)])))
  const gauge = (name: string, help: string, value: (node: Node) => number | undefined) =>
    family(
      name,
      'gauge',
      help,
      each((node) => [one(value(node))]),
    )
  const counter = (name: string, help: string, value: (totals: NonNullable<ReturnType<Totals['host']>>) => Sample[]) =>
    family(
      name,
      'counter',
      help,
      each((node) => {
        const host = totals?.host(node.name)
        return host === undefined ? [] : value(host)
      }),
    )
  yield counter('node_cpu_seconds_total', 'Seconds the CPUs spent in each mode.', (host) => [
    [{ mode: 'user' }, host.cpuSecondsUser],
    [{ mode: 'system' }, host.cpuSecondsSystem],
    [{ mode: 'iowait' }, host.cpuSecondsIowait],
    [{ mode: 'steal' }, host.cpuSecondsSteal],
    [{ mode: 'idle' }, host.cpuSecondsIdle],
  ])
  yield gauge('node_load1', '1m load average.', ({ load }) => load?.loadAverage1m)
  yield gauge('node_load5', '5m load average.', ({ load }) => load?.detail?.loadAverage5m)
  yield gauge('node_load15', '15m load average.', ({ load }) => load?.detail?.loadAverage15m)
  yield gauge('berth_node_swap_bytes', 'Swap of the node.', ({ load }) => load?.detail?.swapBytesTotal)
  yield gauge('berth_node_swap_bytes_used', 'Swap in use.', ({ load }) => load?.detail?.swapBytesUsed)
  yield gauge(
    'node_filesystem_size_bytes',
    "Size of the file system with the Engine's data.",
    ({ load }) => load?.diskBytesTotal,
  )
  yield gauge('node_filesystem_free_bytes', 'Room on that file system.', ({ load }) =>
    load ? load.diskBytesTotal - load.diskBytesUsed : undefined,
  )
  // Of each device where the agent tells that; else what has been added up over all of them.
  const ofDevices = <Figure extends keyof HostTotals>(
    name: string,
    help: string,
    figure: Figure,
    devicesIn: (told: NodeDevices) => ({ device: string } & Record<Figure, number>)[],
  ) =>
    family(
      name,
      'counter',
      help,
      each(({ name: node }) => {
        const [told, host] = [totals?.devices(node), totals?.host(node)]
        if (told !== undefined) return devicesIn(told).map((one): Sample => [{ device: one.device }, one[figure]])
        return host === undefined ? [] : [[{}, host[figure]]]
      }),
    )
  const [networks, disks] = [(told: NodeDevices) => told.networks, (told: NodeDevices) => told.disks]
  yield ofDevices('node_network_receive_bytes_total', 'Bytes received.', 'receivedBytes', networks)
  yield ofDevices('node_network_transmit_bytes_total', 'Bytes sent.', 'sentBytes', networks)
  yield ofDevices('node_disk_read_bytes_total', 'Bytes read from disks.', 'readBytes', disks)
  yield ofDevices('node_disk_written_bytes_total', 'Bytes written to disks.', 'writtenBytes', disks)
  yield family(
    'berth_node_pressure_ratio',
    'gauge',
    'Share of the last 10 s in which some or all tasks waited (PSI).',
    each(({ load }) => {
      const pressure = load?.pressure
      if (pressure === undefined) return []
      return [
        [{ resource: 'cpu', stalled: 'some' }, pressure.cpuSome / 100],
        [{ resource: 'memory', stalled: 'some' }, pressure.memorySome / 100],
        [{ resource: 'memory', stalled: 'all' }, pressure.memoryFull / 100],
        [{ resource: 'io', stalled: 'some' }, pressure.ioSome / 100],
        [{ resource: 'io', stalled: 'all' }, pressure.ioFull / 100],
      ]
    }),
  )
  yield gauge('berth_node_uptime_seconds', 'Since the host started.', ({ load }) => load?.detail?.uptimeSeconds)
  yield gauge('berth_node_engine_up', 'Whether the Docker Engine of the node answers.', ({ engine }) =>
    engine === null ? undefined : Number(engine.state === 'up'),
  )
}

function withNode({ name }: Node, [labels, value]: Sample): Sample {
  return [{ node: name, ...labels }, value]
}

// ---------------------------------------------------------------- services and tasks

function* serviceFamilies(world: World): Iterable<string> {
  const services = [...world.services.values()].slice(0, SERVICE_SERIES_MAX)
  const lookAt = looksAt(world)
  const samples = services.flatMap((service) =>
    Object.entries(countKinds(service, lookAt(service.name).kinds)).map(
      ([state, count]): Sample => [{ service: service.name, stack: service.stack, state }, count],
    ),
  )
  const without = world.services.size - services.length
  yield family(
    'berth_service_tasks',
    'gauge',
    'Tasks of the service by what they do; wanted: how many there should be.',
    samples,
  )
  yield family('berth_services_without_series', 'gauge', 'Services beyond the bound of series.', [[{}, without]])
}

function* taskFamilies(world: World, totals: Totals | undefined): Iterable<string> {
  // The others are counted, not looked at.
  const first = [...measuredTasks(world).take(TASK_SERIES_MAX)]
  let measured = 0
  for (const { containerLoads } of world.nodes.values()) measured += containerLoads.size
  const told = first.map((each) => {
    const { task, node } = each
    return { ...each, labels: taskLabels(world, task, node), totals: totals?.task(node.name, task.id) }
  })
  const each = (
    name: string,
    type: 'gauge' | 'counter',
    help: string,
    value: (task: (typeof told)[number]) => number | undefined,
  ) =>
    family(
      name,
      type,
      help,
      told.flatMap((task): Sample<string>[] => {
        const figure = value(task)
        return figure === undefined ? [] : [[task.labels, figure]]
      }),
    )
  yield each('container_cpu_usage_seconds_total', 'counter', 'CPU time used.', ({ totals }) => totals?.cpuSeconds)
  yield each(
    'container_memory_working_set_bytes',
    'gauge',
    'Memory without what the kernel would drop first.',
    ({ load }) => load.memoryBytesUsed,
  )
  yield each('container_spec_memory_limit_bytes', 'gauge', 'Memory limit.', ({ load }) => load.memoryBytesLimit)
  yield each(
    'container_oom_events_total',
    'counter',
    'Processes killed for lack of memory.',
    ({ load }) => load.oomKills,
  )
  yield each(
    'container_network_receive_bytes_total',
    'counter',
    'Bytes received.',
    ({ totals }) => totals?.receivedBytes,
  )
  yield each('container_network_transmit_bytes_total', 'counter', 'Bytes sent.', ({ totals }) => totals?.sentBytes)
  yield each(
    'container_fs_reads_bytes_total',
    'counter',
    'Bytes read from block devices.',
    ({ totals }) => totals?.readBytes,
  )
  yield each(
    'container_fs_writes_bytes_total',
    'counter',
    'Bytes written to block devices.',
    ({ totals }) => totals?.writtenBytes,
  )
  yield each('container_threads', 'gauge', 'Processes and threads.', ({ load }) => load.processes)
  yield each(
    'berth_task_cpu_throttled_ratio',
    'gauge',
    'Share of periods in which the CPU limit held it up.',
    ({ load }) => load.cpuThrottledShare,
  )
  yield each('berth_task_health_check_seconds', 'gauge', 'Time that the latest health test took.', ({ load }) =>
    load.healthCheckMs === undefined ? undefined : load.healthCheckMs / 1000,
  )
  const restarts = told.map(({ task, labels }): Sample<string> => [labels, restartsOf(task)])
  for (const node of world.nodes.values()) {
    for (const task of restartedUnmeasured(world, node))
      if (restarts.length < 2 * TASK_SERIES_MAX) restarts.push([taskLabels(world, task, node), restartsOf(task)])
    // Nothing to tell yet: others may have a turn.
    yield ''
  }
  yield family('berth_task_restarts_total', 'counter', 'Starts after the first.', restarts)
  yield family('berth_tasks_without_series', 'gauge', 'Measured tasks beyond the bound of series.', [
    [{}, measured - told.length],
  ])
}

function taskLabels(world: World, task: Task, node: Node): string {
  const of = world.services.get(task.service)
  const image = of?.versions.get(task.version)?.spec.task.container.image ?? ''
  const { id, service } = task
  return labelText({ id, name: taskName(task), image, service, stack: of?.stack ?? '', node: node.name })
}

type Measured = { task: Task; node: Node; load: ContainerLoad }

function* measuredTasks(world: World): Generator<Measured> {
  for (const node of world.nodes.values()) {
    for (const load of node.containerLoads.values()) {
      const task = world.tasks.get(load.task)
      if (task?.node === node.name) yield { task, node, load }
    }
  }
}

// ---------------------------------------------------------------- text

function one(value: number | undefined): Sample | null {
  return value === undefined ? null : [{}, value]
}

/** '' without samples: a family that nobody has says nothing. */
function family(name: string, type: 'gauge' | 'counter', help: string, samples: Sample<Labels | string>[]): string {
  if (samples.length === 0) return ''
  const lines = samples.map(([labels, value]) => `${name}${labelText(labels)} ${value}\n`)
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join('')}`
}

/** A text is one already: a task's, whose labels stand in many families. */
function labelText(labels: Labels | string): string {
  if (typeof labels === 'string') return labels
  const parts = Object.entries(labels).map(([name, value]) => `${name}="${escaped(value)}"`)
  return parts.length === 0 ? '' : `{${parts.join(',')}}`
}

function escaped(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
}
