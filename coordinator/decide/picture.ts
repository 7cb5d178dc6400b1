/**
 * What scheduling knows of each node during one beat: what is promised, held and running there. Built once per beat from
 * the world, then kept up to date by the placements decided in it, so that later ones see earlier ones.
 */
import type { Port } from '../../shared/spec.ts'
import type { Node, NodeName, Service, ServiceName, ServiceVersion, Task, TaskId, World } from '../world.ts'
import { isBoundTo } from './checks/host-port.ts'
import { isReserved, needOf } from './demand.ts'
import { genericNeed, genericOn } from './generic-need.ts'
import { type Neighbours, neighboursOf, withoutOne } from './neighbours.ts'
import type { Need } from './policies/policy.ts'
import { type Room, roomOf } from './room.ts'
import { measuredNeed } from './service-usage.ts'
import { atOnce, type Steps } from './steps.ts'
import { holdsRoom } from './task-facts.ts'

export type NodePicture = {
  node: Node
  /** With nothing promised. */
  room: Room
  cpuCoresPromised: number
  memoryBytesPromised: number
  diskBytesPromised: number
  genericPromised: Map<string, number>
  taskCount: number
  tasksByService: Map<ServiceName, number>
  /** Of those, what is told to stop. */
  leavingByService: Map<ServiceName, number>
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
  neighbours: Neighbours
  needOf(service: ServiceName, version: ServiceVersion): Need
}

export type Picture = Map<NodeName, NodePicture>

/** `current`: a service as decided in this beat. */
export function pictureOf(world: World, current?: (service: Service) => Service): Picture {
  return atOnce(pictureInSteps(world, current))
}

/** The same, to be interrupted; the world must stay as it is until it is done. */
export function* pictureInSteps(world: World, current?: (service: Service) => Service): Steps<Picture> {
  const picture: Picture = new Map()
  const cluster = clusterPicture(neighboursOf(picture, world.services, current), world.usageByService)
  for (const node of world.nodes.values()) {
    picture.set(node.name, nodePicture(world, node, holdsRoom, cluster))
    yield
  }
  return picture
}

/** The node as if nothing ran there. */
export function emptyPicture(node: Node, cluster: ClusterPicture = clusterPicture()): NodePicture {
  return {
    node,
    room: roomOf(node),
    cpuCoresPromised: 0,
    memoryBytesPromised: 0,
    diskBytesPromised: 0,
    genericPromised: new Map(),
    taskCount: 0,
    tasksByService: new Map(),
    leavingByService: new Map(),
    portsHeld: [],
    need: { cpuCores: 0, memoryBytes: 0 },
    needUnmeasured: { cpuCores: 0, memoryBytes: 0 },
    cluster,
  }
}

/** The need is asked for several times in a row for the same version: the last answer is at hand. */
function clusterPicture(
  neighbours: Neighbours = neighboursOf(new Map(), new Map()),
  usage: World['usageByService'] = new Map(),
): ClusterPicture {
  const needs = new Map<ServiceVersion, Need>()
  let last: { version: ServiceVersion; need: Need } | null = null
  return {
    tasksByService: new Map(),
    neighbours,
    needOf(service, version) {
      if (last?.version === version) return last.need
      const need = isReserved(version) ? needOf(version, null) : (needs.get(version) ?? assumed(service, version))
      last = { version, need }
      return need
    },
  }

  function assumed(service: ServiceName, version: ServiceVersion): Need {
    const used = usage.get(service)
    const need = needOf(version, used ? measuredNeed(used) : null)
    needs.set(version, need)
    return need
  }
}

/** Of one node alone, unless a cluster is given; `counts` says which of its tasks do. */
export function nodePicture(
  world: World,
  node: Node,
  counts: (task: Task) => boolean,
  cluster: ClusterPicture = clusterPicture(),
): NodePicture {
  const seen = emptyPicture(node, cluster)
  for (const task of world.tasksByNode.get(node.name) ?? []) {
    const version = world.services.get(task.service)?.versions.get(task.version)
    if (!version || !counts(task)) continue
    hold(seen, task.id, task.service, version)
    if (task.desired === 'stopped') leave(seen, task.service)
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
  const need = seen.cluster.needOf(service, version)
  promise(seen, version, 1)
  seen.taskCount += 1
  add(seen.tasksByService, service, 1)
  add(seen.cluster.tasksByService, service, 1)
  seen.cluster.neighbours.came(service, seen.node)
  give(seen.need, need)
  give(seen.needUnmeasured, need)
  for (const port of version.spec.task.container.ports) {
    if (isBoundTo(port)) seen.portsHeld.push({ port, task })
  }
}

/** A task that the node holds is told to stop. */
export function leave(seen: NodePicture, service: ServiceName): void {
  add(seen.leavingByService, service, 1)
  seen.cluster.neighbours.isToLeave(service, seen.node)
}

/** The same node as if the task had left: for asking whether stopping it would make room. */
export function without(seen: NodePicture, task: TaskId, service: ServiceName, version: ServiceVersion): NodePicture {
  const neighbours = withoutOne(seen.cluster.neighbours, service, seen.node)
  const left: NodePicture = {
    ...seen,
    genericPromised: new Map(seen.genericPromised),
    taskCount: seen.taskCount - 1,
    tasksByService: new Map(seen.tasksByService),
    portsHeld: seen.portsHeld.filter((held) => held.task !== task),
    need: { ...seen.need },
    needUnmeasured: { ...seen.needUnmeasured },
    cluster: { ...seen.cluster, neighbours },
  }
  promise(left, version, -1)
  add(left.tasksByService, service, -1)
  const need = seen.cluster.needOf(service, version)
  take(left.need, need)
  // What was measured holds the task's own use: below zero here, so that the sum of both is what would be measured without it.
  take(left.needUnmeasured, need)
  return left
}

/** Adds to the sums what a task of the version is promised, or takes it away. */
export function promise(seen: NodePicture, { spec }: ServiceVersion, by: 1 | -1 = 1): void {
  const { container } = spec.task
  const { reservation } = container.resources
  seen.cpuCoresPromised += by * reservation.cpuCores
  seen.memoryBytesPromised += by * reservation.memoryBytes
  seen.diskBytesPromised += by * (reservation.diskBytes ?? 0)
  if (!reservation.generic && !container.deviceRequests) return
  for (const [resource, count] of genericOn(genericNeed(container), seen.room.generic)) {
    add(seen.genericPromised, resource, by * count)
  }
}

function add(counts: Map<string, number>, key: string, count: number): void {
  counts.set(key, (counts.get(key) ?? 0) + count)
}

function give(to: Need, need: Need): void {
  to.cpuCores += need.cpuCores
  to.memoryBytes += need.memoryBytes
}

function take(from: Need, need: Need): void {
  from.cpuCores -= need.cpuCores
  from.memoryBytes -= need.memoryBytes
}
