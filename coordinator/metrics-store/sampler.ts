/**
 * Each second, what the World says of the load of nodes and tasks goes into the metrics store: not on the way of a heartbeat, and a
 * few nodes at a time, so that nobody waits. A container that a heartbeat does not name uses about what it did.
 */
import type { Clock, Instant } from '../../shared/clock.ts'
import type { ContainerLoad, HostLoad } from '../../shared/load.ts'
import { taskName } from '../api/view-task.ts'
import { heartbeatIntervalOf } from '../decide/heartbeat-interval.ts'
import { GAP_SECONDS_MAX, type Totals } from '../metrics/totals.ts'
import { restartedUnmeasured, restartsOf } from '../metrics/unmeasured.ts'
import { inTurns } from '../turns.ts'
import type { Node, Task, World } from '../world.ts'
import type { MetricsStore } from './metrics-store.ts'
import type { SubjectFacts } from './subjects.ts'

export const SAMPLE_EVERY_MS = 1_000
/** A node that was not heard for so many heartbeats is not known to be as it was. */
const HEARTBEATS_MISSED_MAX = 2.5
/** After so many points others have their turn: a millisecond or so. */
const POINTS_AT_ONCE = 2_000
/** Of more containers, counters go on for some nodes each second and for the others in the next ones. */
const CONTAINERS_COUNTED_MAX = 50_000

export type SamplerOptions = {
  /** Null: there is none (yet). */
  store: () => Pick<MetricsStore, 'append' | 'tasksTaken' | 'advanceInSteps'> | null
  totals: Totals
  world: () => World
  clock: Clock
  heartbeatIntervalMs: number
  /** For tests; see CONTAINERS_COUNTED_MAX. */
  containersCountedMax?: number
}

/** Until stopped. A second whose sampling is still under way when the next begins takes that one's place. */
export function startSampler(options: SamplerOptions): { stop(): void } {
  const { store, totals, world, clock, heartbeatIntervalMs } = options
  const { containersCountedMax = CONTAINERS_COUNTED_MAX } = options
  let isSampling = false
  let isStopped = false
  let rounds = 0
  /** Found in the round before. */
  let containers = 0
  const timer = clock.every(SAMPLE_EVERY_MS, () => {
    if (!isSampling) void sampleAll(clock.now())
  })

  async function sampleAll(now: Instant): Promise<void> {
    isSampling = true
    const countedEvery = Math.max(1, Math.ceil(containers / containersCountedMax))
    const gapSecondsMax = GAP_SECONDS_MAX + countedEvery - 1
    let turn = rounds++
    let points = 0
    containers = 0
    const into = store()
    if (into !== null) await inTurns(into.advanceInSteps(Math.floor(now / 1000)), clock)
    for (const name of [...world().nodes.keys()]) {
      if (isStopped) break
      turn += 1
      const node = world().nodes.get(name)
      if (!node) continue
      const quietMsMax = heartbeatIntervalOf(node, heartbeatIntervalMs) * HEARTBEATS_MISSED_MAX
      if (now - node.heard.lastBeatAt > quietMsMax) continue
      containers += node.containerLoads.size
      points += 1
      if (turn % countedEvery === 0) {
        totals.add(node, now, gapSecondsMax)
        points += node.containerLoads.size
      }
      if (into !== null) points += sampleNode(into, world(), node, now, quietMsMax)
      if (points < POINTS_AT_ONCE) continue
      points = 0
      await new Promise<void>((resolve) => clock.soon(resolve))
    }
    totals.keepOnly((name) => world().nodes.has(name))
    isSampling = false
  }

  return {
    stop() {
      isStopped = true
      timer.stop()
    },
  }
}

/** How many points it gave. */
export function sampleNode(
  store: Pick<MetricsStore, 'append' | 'tasksTaken'>,
  world: World,
  node: Node,
  now: Instant,
  quietMsMax: number,
): number {
  if (node.load === null || now - node.heard.lastBeatAt > quietMsMax) return 0
  const second = Math.floor(now / 1000)
  const ofHost = hostValues(node.load)
  store.append({ kind: 'node', node: node.name }, second, ofHost)
  let points = ofHost.length
  const taken = store.tasksTaken(node.name)
  for (const load of loadsTaken(node, taken)) {
    const task = world.tasks.get(load.task)
    if (task?.node !== node.name) continue
    const values = containerValues(load, task)
    store.append(factsOf(world, node, task), second, values)
    points += values.length
  }
  for (const task of restartedUnmeasured(world, node, taken)) {
    store.append(factsOf(world, node, task), second, [['restarts', restartsOf(task)]])
    points += 1
  }
  return points
}

/** A million tasks must not cost a second each second because a few thousand of them have series. */
function loadsTaken({ containerLoads }: Node, taken: ReadonlySet<string> | null): Iterable<ContainerLoad> {
  if (taken === null) return containerLoads.values()
  if (taken.size > containerLoads.size) return containerLoads.values().filter(({ task }) => taken.has(task))
  return [...taken].flatMap((task) => containerLoads.get(task) ?? [])
}

function factsOf(world: World, { name: node }: Node, task: Task): Extract<SubjectFacts, { kind: 'task' }> {
  const { id, service } = task
  return { kind: 'task', id, name: taskName(task), service, stack: world.services.get(service)?.stack ?? '', node }
}

type Values = [metric: string, value: number][]

export function hostValues(load: HostLoad): Values {
  return present([
    ['cpu', load.cpuCoresUsed],
    ['memory', load.memoryBytesUsed],
    ['memory-limit', load.memoryBytesTotal],
    ['network-receive', load.networkReceiveBytesPerSecond],
    ['network-send', load.networkSendBytesPerSecond],
    ['disk-read', load.diskReadBytesPerSecond],
    ['disk-write', load.diskWriteBytesPerSecond],
    ['load', load.loadAverage1m],
    ['disk-used', load.diskBytesUsed],
    ['disk-size', load.diskBytesTotal],
    ['pressure-cpu', load.pressure?.cpuSome],
    ['pressure-memory', load.pressure?.memorySome],
    ['pressure-memory-full', load.pressure?.memoryFull],
    ['pressure-io', load.pressure?.ioSome],
    ['pressure-io-full', load.pressure?.ioFull],
    ['swap-used', load.detail?.swapBytesUsed],
    ['cpu-user', load.detail?.cpuCoresUser],
    ['cpu-system', load.detail?.cpuCoresSystem],
    ['cpu-iowait', load.detail?.cpuCoresIowait],
    ['cpu-steal', load.detail?.cpuCoresSteal],
    ['uptime', load.detail?.uptimeSeconds],
  ])
}

export function containerValues(load: ContainerLoad, task: Task): Values {
  return present([
    ['cpu', load.cpuCoresUsed],
    ['memory', load.memoryBytesUsed],
    ['memory-limit', load.memoryBytesLimit],
    ['network-receive', load.networkReceiveBytesPerSecond],
    ['network-send', load.networkSendBytesPerSecond],
    ['disk-read', load.blockReadBytesPerSecond],
    ['disk-write', load.blockWriteBytesPerSecond],
    ['oom-kills', load.oomKills],
    ['throttled', load.cpuThrottledShare],
    ['processes', load.processes],
    ['health-check', load.healthCheckMs === undefined ? undefined : load.healthCheckMs / 1000],
    ['restarts', restartsOf(task)],
  ])
}

function present(values: [string, number | undefined][]): Values {
  return values.filter((value): value is [string, number] => value[1] !== undefined)
}
