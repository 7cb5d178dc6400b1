/** The World in figures, reckoned when somebody asks for them and never on the way of a beat. */

import type { Instant } from '../../shared/clock.ts'
import { PACE_REASONS } from '../../shared/load.ts'
import { hasEnded, TASK_STATES, type TaskState } from '../../shared/task-state.ts'
import { whyNowhereElse } from '../decide/failing.ts'
import { heartbeatIntervalOf } from '../decide/heartbeat-interval.ts'
import { targetVersionOf } from '../decide/service-facts.ts'
import { defaultSettings } from '../decide/settings.ts'
import { signIntervalMs } from '../decide/signs.ts'
import { silenceLimitMs } from '../decide/silence.ts'
import { nothingPromised } from '../store/tally.ts'
import type { Node, NodeStatus, Task, World } from '../world.ts'

/** Each labelled series costs memory here and in whatever stores it: of a larger fleet the first so many nodes by name are told. */
export const NODE_SERIES_MAX = 1000

export const NODE_STATUS_NAMES = ['joining', 'ready', 'disconnected', 'engine-down', 'lost'] as const
NODE_STATUS_NAMES satisfies readonly NodeStatus['name'][]

export type NodeFigures = {
  node: string
  cpuCoresTotal: number
  cpuCoresUsed: number
  cpuCoresPromised: number
  memoryBytesTotal: number
  memoryBytesUsed: number
  memoryBytesPromised: number
  /** Since the agent was last heard. */
  quietSeconds: number
  /** How long it may be quiet before it is lost, by its habit. */
  quietSecondsLimit: number
}

export type WorldFigures = {
  revision: number
  nodesByStatus: Record<string, number>
  nodesDraining: number
  tasksByState: Record<string, number>
  tasksWaiting: number
  /** Those that are measured, by why they are sampled as often as they are. */
  tasksBySampling: Record<string, number>
  stacks: number
  services: number
  rolloutsByState: Record<string, number>
  /** Pairs of a node and a service that it keeps failing. */
  nodesFailing: number
  /** Whose failing tasks are not tried on yet another node. */
  servicesStaying: number
  nodes: NodeFigures[]
  nodesLeftOut: number
}

export function worldFigures(world: World, now: Instant, heartbeatIntervalMs = 1000): WorldFigures {
  const settings = defaultSettings(now, heartbeatIntervalMs)
  const signsEveryMs = signIntervalMs(world.nodes.size, heartbeatIntervalMs)
  const nodes = [...world.nodes.values()]
  const named = nodes.toSorted((a, b) => (a.name < b.name ? -1 : 1)).slice(0, NODE_SERIES_MAX)
  const services = [...world.services.values()]
  const failing = services.flatMap((service) => targetVersionOf(service)?.failing ?? [])
  return {
    revision: world.revision,
    nodesByStatus: countBy(
      NODE_STATUS_NAMES,
      nodes.map(({ status }) => status.name),
    ),
    nodesDraining: nodes.filter(({ availability }) => availability === 'drain').length,
    tasksByState: tasksByState(world),
    tasksWaiting: world.tasksWaiting.size,
    tasksBySampling: countBy(PACE_REASONS, paceReasons(nodes)),
    stacks: world.stacks.size,
    services: world.services.size,
    rolloutsByState: countBy(
      ['settled', 'rolling', 'paused', 'rolling-back', 'rolled-back'],
      [...world.services.values()].map(({ rollout }) => rollout.state),
    ),
    nodesFailing: sum(failing, ({ nodes }) => nodes.length),
    servicesStaying: services.filter((service) => whyNowhereElse({ world, now }, service) !== null).length,
    nodes: named.map((node) => ({
      ...nodeFigures(world, node, now),
      quietSecondsLimit:
        silenceLimitMs(node.heard, settings, signsEveryMs ?? heartbeatIntervalOf(node, heartbeatIntervalMs)) / 1000,
    })),
    nodesLeftOut: nodes.length - named.length,
  }
}

function* paceReasons(nodes: Node[]): Iterable<string> {
  for (const { containerLoads } of nodes) {
    for (const { sampledBecause } of containerLoads.values()) if (sampledBecause) yield sampledBecause
  }
}

function tasksByState(world: World): Record<string, number> {
  if (!world.tally) return countBy(TASK_STATES, world.tasks.values().map(stateOf))
  const counts = countBy(TASK_STATES, [])
  for (const kinds of world.tally.services.values()) {
    for (const { like, count } of kinds.values()) counts[stateOf(like)]! += count
  }
  return counts
}

function stateOf({ node, observed }: Task): TaskState {
  return node === null ? 'waiting' : observed.state
}

function nodeFigures(world: World, node: Node, now: Instant): Omit<NodeFigures, 'quietSecondsLimit'> {
  const promised = promisedOn(world, node)
  return {
    node: node.name,
    cpuCoresTotal: node.inventory?.cpuCores ?? 0,
    cpuCoresUsed: node.load?.cpuCoresUsed ?? 0,
    cpuCoresPromised: promised.cpuCores,
    memoryBytesTotal: node.inventory?.memoryBytes ?? 0,
    memoryBytesUsed: node.load?.memoryBytesUsed ?? 0,
    memoryBytesPromised: promised.memoryBytes,
    quietSeconds: node.heard.lastAt === 0 ? 0 : Math.max(0, now - node.heard.lastAt) / 1000,
  }
}

/** To what has not ended. Each task is looked at only where the world has no tally. */
function promisedOn(world: World, { name }: Node): { cpuCores: number; memoryBytes: number } {
  if (world.tally) {
    const { cpuMicrocores, memoryBytes } = (world.tally.nodes.get(name) ?? nothingPromised()).going
    return { cpuCores: cpuMicrocores / 1e6, memoryBytes }
  }
  const promised = { cpuCores: 0, memoryBytes: 0 }
  for (const task of world.tasksByNode.get(name) ?? []) {
    if (hasEnded(task.observed.state)) continue
    const reservation = reservationOf(world, task)
    promised.cpuCores += reservation.cpuCores
    promised.memoryBytes += reservation.memoryBytes
  }
  return promised
}

function reservationOf(world: World, task: Task): { cpuCores: number; memoryBytes: number } {
  const version = world.services.get(task.service)?.versions.get(task.version)
  return version?.spec.task.container.resources.reservation ?? { cpuCores: 0, memoryBytes: 0 }
}

function sum<T>(things: readonly T[], count: (thing: T) => number): number {
  return things.reduce((total, thing) => total + count(thing), 0)
}

/** Every name is told, at 0 too: a series that comes and goes cannot be alarmed on. */
function countBy(names: readonly string[], values: Iterable<string>): Record<string, number> {
  const counts = Object.fromEntries(names.map((name) => [name, 0]))
  for (const value of values) counts[value] = (counts[value] ?? 0) + 1
  return counts
}
