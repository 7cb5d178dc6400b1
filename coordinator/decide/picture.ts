/**
 * What scheduling knows of each node during one beat: what is promised, held and running there. Built once per beat from
 * the world, then kept up to date by the placements decided in it, so that later ones see earlier ones.
 */
import type { Port } from '../../shared/spec.ts'
import type { Node, NodeName, ServiceName, ServiceVersion, Task, TaskId, World } from '../world.ts'
import { isBoundTo } from './checks/host-port.ts'
import { isReserved, needOf } from './demand.ts'
import type { Need } from './policies/policy.ts'
import { measuredNeed } from './service-usage.ts'
import { holdsRoom } from './task-facts.ts'

export type NodePicture = {
  node: Node
  cpuCoresPromised: number
  memoryBytesPromised: number
  taskCount: number
  tasksByService: Map<ServiceName, number>
  portsHeld: HeldPort[]
  /** Of all its tasks. */
  need: Need
  /** Of those that are too young for the measured load to show them. */
  needUnmeasured: Need
  /** The same object for all nodes of a picture. */
  cluster: ClusterPicture
}

export type HeldPort = { port: Port; task: TaskId }

/** What scheduling knows of services, whatever the node. */
export type ClusterPicture = {
  /** How many there are on all nodes together. A missing key means none. */
  tasksByService: Map<ServiceName, number>
  needOf(service: ServiceName, version: ServiceVersion): Need
}

export type Picture = Map<NodeName, NodePicture>

export function pictureOf(world: World): Picture {
  const cluster = clusterPicture(world.usageByService)
  const picture: Picture = new Map()
  for (const node of world.nodes.values()) picture.set(node.name, nodePicture(world, node, cluster))
  return picture
}

/** The node as if nothing ran there. */
export function emptyPicture(node: Node, cluster: ClusterPicture = clusterPicture()): NodePicture {
  return {
    node,
    cpuCoresPromised: 0,
    memoryBytesPromised: 0,
    taskCount: 0,
    tasksByService: new Map(),
    portsHeld: [],
    need: { cpuCores: 0, memoryBytes: 0 },
    needUnmeasured: { cpuCores: 0, memoryBytes: 0 },
    cluster,
  }
}

/** The need is asked for several times in a row for the same version: the last answer is at hand. */
function clusterPicture(usage: World['usageByService'] = new Map()): ClusterPicture {
  const needs = new Map<ServiceVersion, Need>()
  let lastNeed: { version: ServiceVersion; need: Need } | null = null
  return {
    tasksByService: new Map(),
    needOf(service, version) {
      if (lastNeed?.version === version) return lastNeed.need
      const need = isReserved(version) ? needOf(version, null) : (needs.get(version) ?? guess(service, version))
      lastNeed = { version, need }
      return need
    },
  }

  function guess(service: ServiceName, version: ServiceVersion): Need {
    const used = usage.get(service)
    const need = needOf(version, used ? measuredNeed(used) : null)
    needs.set(version, need)
    return need
  }
}

function nodePicture(world: World, node: Node, cluster: ClusterPicture): NodePicture {
  const seen = emptyPicture(node, cluster)
  for (const task of world.tasksByNode.get(node.name) ?? []) {
    const version = world.services.get(task.service)?.versions.get(task.version)
    if (!version || !holdsRoom(task)) continue
    hold(seen, task.id, task.service, version)
    if (isMeasured(task, node)) take(seen.needUnmeasured, cluster.needOf(task.service, version))
  }
  return seen
}

/** Whether what the task uses has had time to show in the node's load. */
function isMeasured(task: Task, node: Node): boolean {
  return node.loadHistory.peak !== null && task.placedAt + SHOWS_AFTER_MS <= node.heard.lastBeatAt
}

/** Pulling an image, starting and warming up take time; until then what a task will use is not measured. */
const SHOWS_AFTER_MS = 60_000

/** The node takes the task: its room is held from now on. */
export function hold(seen: NodePicture, task: TaskId, service: ServiceName, version: ServiceVersion): void {
  const { resources, ports } = version.spec.task.container
  const need = seen.cluster.needOf(service, version)
  seen.cpuCoresPromised += resources.reservation.cpuCores
  seen.memoryBytesPromised += resources.reservation.memoryBytes
  seen.taskCount += 1
  count(seen.tasksByService, service)
  count(seen.cluster.tasksByService, service)
  give(seen.need, need)
  give(seen.needUnmeasured, need)
  for (const port of ports) {
    if (isBoundTo(port)) seen.portsHeld.push({ port, task })
  }
}

/** The same node as if the task had left: for asking whether stopping it would make room. */
export function without(seen: NodePicture, task: TaskId, service: ServiceName, version: ServiceVersion): NodePicture {
  const { reservation } = version.spec.task.container.resources
  const left = {
    ...seen,
    cpuCoresPromised: seen.cpuCoresPromised - reservation.cpuCores,
    memoryBytesPromised: seen.memoryBytesPromised - reservation.memoryBytes,
    taskCount: seen.taskCount - 1,
    tasksByService: new Map(seen.tasksByService).set(service, (seen.tasksByService.get(service) ?? 1) - 1),
    portsHeld: seen.portsHeld.filter((held) => held.task !== task),
    need: { ...seen.need },
  }
  take(left.need, seen.cluster.needOf(service, version))
  return left
}

function count(counts: Map<ServiceName, number>, service: ServiceName): void {
  counts.set(service, (counts.get(service) ?? 0) + 1)
}

function give(to: Need, need: Need): void {
  to.cpuCores += need.cpuCores
  to.memoryBytes += need.memoryBytes
}

function take(from: Need, need: Need): void {
  from.cpuCores -= need.cpuCores
  from.memoryBytes -= need.memoryBytes
}
