/** What is kept of nodes and tasks over time: names as operators write them, their units, and how finely each is stored. */

export const METRIC_OF = ['node', 'task'] as const
export type MetricOf = (typeof METRIC_OF)[number]

/** A line for each of these, or one for all. */
export const METRIC_GROUPINGS = ['task', 'node', 'service', 'all'] as const
export type MetricGrouping = (typeof METRIC_GROUPINGS)[number]

/** What becomes of the points of a step; percentiles are over all points of a line. */
export const REDUCTIONS = ['mean', 'max', 'min', 'rate', 'p50', 'p75', 'p90', 'p95', 'p99'] as const
export type Reduction = (typeof REDUCTIONS)[number]

/** What `berth top` sorts by. */
export const TOP_SORTS = ['cpu', 'memory', 'network', 'disk', 'throttled', 'processes', 'restarts', 'name'] as const
export type TopSort = (typeof TOP_SORTS)[number]

export type MetricUnit = 'cores' | 'bytes' | 'bytes/s' | 'share' | 'percent' | 'count' | 'seconds'

export type Metric = {
  name: string
  /** Stands in what is on the disk: never given to another metric. Below METRICS_MAX. */
  number: number
  of: readonly MetricOf[]
  unit: MetricUnit
  /** Values are stored as whole multiples of this. */
  step: number
  /** A counter only grows; it begins anew at 0 when what it counts does. */
  isCounter?: true
  about: string
}

export const METRICS_MAX = 64

const BOTH = ['node', 'task'] as const
const NODE = ['node'] as const
const TASK = ['task'] as const
const KIB = 1024

export const METRICS: readonly Metric[] = [
  { name: 'cpu', number: 0, of: BOTH, unit: 'cores', step: 0.001, about: 'cores in use' },
  {
    name: 'memory',
    number: 1,
    of: BOTH,
    unit: 'bytes',
    step: 4 * KIB,
    about: 'memory in use, without what the kernel could drop',
  },
  { name: 'memory-limit', number: 2, of: BOTH, unit: 'bytes', step: 4 * KIB, about: "a task's limit; what a node has" },
  { name: 'network-receive', number: 3, of: BOTH, unit: 'bytes/s', step: 64, about: 'received' },
  { name: 'network-send', number: 4, of: BOTH, unit: 'bytes/s', step: 64, about: 'sent' },
  { name: 'disk-read', number: 5, of: BOTH, unit: 'bytes/s', step: KIB, about: 'read from block devices' },
  { name: 'disk-write', number: 6, of: BOTH, unit: 'bytes/s', step: KIB, about: 'written to block devices' },
  {
    name: 'throttled',
    number: 7,
    of: TASK,
    unit: 'share',
    step: 0.001,
    about: 'periods in which the CPU limit held it up',
  },
  { name: 'processes', number: 8, of: TASK, unit: 'count', step: 1, about: 'processes and threads' },
  { name: 'restarts', number: 9, of: TASK, unit: 'count', step: 1, isCounter: true, about: 'starts after the first' },
  {
    name: 'oom-kills',
    number: 10,
    of: TASK,
    unit: 'count',
    step: 1,
    isCounter: true,
    about: 'processes killed for lack of memory',
  },
  { name: 'load', number: 11, of: NODE, unit: 'count', step: 0.01, about: 'load average of a minute' },
  {
    name: 'disk-used',
    number: 12,
    of: NODE,
    unit: 'bytes',
    step: 4 * KIB,
    about: "of the file system with the Engine's data",
  },
  { name: 'disk-size', number: 13, of: NODE, unit: 'bytes', step: 4 * KIB, about: 'the size of that file system' },
  { name: 'pressure-cpu', number: 14, of: NODE, unit: 'percent', step: 0.1, about: 'PSI: some waited for a CPU' },
  { name: 'pressure-memory', number: 15, of: NODE, unit: 'percent', step: 0.1, about: 'PSI: some waited for memory' },
  {
    name: 'pressure-memory-full',
    number: 16,
    of: NODE,
    unit: 'percent',
    step: 0.1,
    about: 'PSI: all waited for memory',
  },
  { name: 'pressure-io', number: 17, of: NODE, unit: 'percent', step: 0.1, about: 'PSI: some waited for a disk' },
  { name: 'pressure-io-full', number: 18, of: NODE, unit: 'percent', step: 0.1, about: 'PSI: all waited for a disk' },
  { name: 'swap-used', number: 19, of: NODE, unit: 'bytes', step: 4 * KIB, about: 'swap in use' },
  { name: 'cpu-user', number: 20, of: NODE, unit: 'cores', step: 0.001, about: 'cores in user mode, nice included' },
  {
    name: 'cpu-system',
    number: 21,
    of: NODE,
    unit: 'cores',
    step: 0.001,
    about: 'cores in the kernel, interrupts included',
  },
  { name: 'cpu-iowait', number: 22, of: NODE, unit: 'cores', step: 0.001, about: 'idle cores that wait for a disk' },
  {
    name: 'cpu-steal',
    number: 23,
    of: NODE,
    unit: 'cores',
    step: 0.001,
    about: 'cores that the hypervisor gave to others',
  },
  { name: 'uptime', number: 24, of: NODE, unit: 'seconds', step: 1, about: 'since the host started' },
  { name: 'health-check', number: 25, of: TASK, unit: 'seconds', step: 0.001, about: 'time of the latest health test' },
]

const BY_NAME = new Map(METRICS.map((metric) => [metric.name, metric]))

export function metricNamed(name: string): Metric | undefined {
  return BY_NAME.get(name)
}
