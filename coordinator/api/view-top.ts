/** Who uses most at this moment, in one pass over the world. */
import { TOP_LIMIT_MAX, type TopDocument, type TopQuery, type TopRow } from '../../shared/api.ts'
import type { Instant } from '../../shared/clock.ts'
import type { ContainerLoad } from '../../shared/load.ts'
import type { TopSort } from '../../shared/metric-names.ts'
import { restartedUnmeasured, restartsOf } from '../metrics/unmeasured.ts'
import type { Node, Task, World } from '../world.ts'
import { taskName } from './view-task.ts'
import { isoTime } from './words.ts'

const LIMIT_DEFAULT = 100

export function viewTop(world: World, query: TopQuery, now: Instant): TopDocument {
  const rows = [...(query.of === 'node' ? nodeRows(world, query) : taskRows(world, query))]
  const { sort = 'cpu', reverse = false, limit = LIMIT_DEFAULT } = query
  const compare = comparing(sort)
  rows.sort(reverse ? (a, b) => compare(b, a) : compare)
  return {
    at: isoTime(now),
    count: rows.length,
    cpuCoresUsed: rows.reduce((sum, { cpuCoresUsed }) => sum + cpuCoresUsed, 0),
    memoryBytesUsed: rows.reduce((sum, { memoryBytesUsed }) => sum + memoryBytesUsed, 0),
    rows: rows.slice(0, Math.min(limit, TOP_LIMIT_MAX)),
  }
}

function* nodeRows(world: World, { node: only }: TopQuery): Iterable<TopRow> {
  for (const { name, load, inventory } of world.nodes.values()) {
    if (load === null || (only !== undefined && name !== only)) continue
    yield {
      name,
      node: name,
      cpuCoresUsed: load.cpuCoresUsed,
      cpuCoresMax: inventory?.cpuCores ?? null,
      memoryBytesUsed: load.memoryBytesUsed,
      memoryBytesMax: load.memoryBytesTotal,
      networkReceiveBytesPerSecond: load.networkReceiveBytesPerSecond,
      networkSendBytesPerSecond: load.networkSendBytesPerSecond,
      diskReadBytesPerSecond: load.diskReadBytesPerSecond,
      diskWriteBytesPerSecond: load.diskWriteBytesPerSecond,
      throttledShare: null,
      processes: null,
      restarts: null,
    }
  }
}

function* taskRows(world: World, { stack, service, node: only }: TopQuery): Iterable<TopRow> {
  const isAskedFor = (task: Task) =>
    (service === undefined || task.service === service) &&
    (stack === undefined || world.services.get(task.service)?.stack === stack)
  for (const node of world.nodes.values()) {
    if (only !== undefined && node.name !== only) continue
    for (const load of node.containerLoads.values()) {
      const task = world.tasks.get(load.task)
      if (task?.node === node.name && isAskedFor(task)) yield taskRow(world, node, task, load)
    }
    for (const task of restartedUnmeasured(world, node)) if (isAskedFor(task)) yield taskRow(world, node, task, null)
  }
}

/** `load` null: it is never up for long enough to be measured. */
function taskRow(world: World, node: Node, task: Task, load: ContainerLoad | null): TopRow {
  const spec = world.services.get(task.service)?.versions.get(task.version)?.spec
  return {
    name: taskName(task),
    node: node.name,
    cpuCoresUsed: load?.cpuCoresUsed ?? 0,
    cpuCoresMax: spec?.task.container.resources.limit?.cpuCores ?? null,
    memoryBytesUsed: load?.memoryBytesUsed ?? 0,
    memoryBytesMax: load?.memoryBytesLimit ?? null,
    networkReceiveBytesPerSecond: load?.networkReceiveBytesPerSecond ?? null,
    networkSendBytesPerSecond: load?.networkSendBytesPerSecond ?? null,
    diskReadBytesPerSecond: load?.blockReadBytesPerSecond ?? null,
    diskWriteBytesPerSecond: load?.blockWriteBytesPerSecond ?? null,
    throttledShare: load?.cpuThrottledShare ?? null,
    processes: load?.processes ?? null,
    restarts: restartsOf(task),
  }
}

/** Largest first, and names break ties so that rows that use nothing stay where they are. */
function comparing(sort: TopSort): (a: TopRow, b: TopRow) => number {
  const byName = (a: TopRow, b: TopRow) => a.name.localeCompare(b.name, 'en', { numeric: true })
  if (sort === 'name') return byName
  const figure = FIGURES[sort]
  return (a, b) => figure(b) - figure(a) || byName(a, b)
}

const FIGURES: Record<Exclude<TopSort, 'name'>, (row: TopRow) => number> = {
  cpu: ({ cpuCoresUsed }) => cpuCoresUsed,
  memory: ({ memoryBytesUsed }) => memoryBytesUsed,
  network: (row) => (row.networkReceiveBytesPerSecond ?? 0) + (row.networkSendBytesPerSecond ?? 0),
  disk: (row) => (row.diskReadBytesPerSecond ?? 0) + (row.diskWriteBytesPerSecond ?? 0),
  throttled: ({ throttledShare }) => throttledShare ?? 0,
  processes: ({ processes }) => processes ?? 0,
  restarts: ({ restarts }) => restarts ?? 0,
}
