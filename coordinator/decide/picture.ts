/**
 * What scheduling knows of each node during one beat: what is promised, held and running there. Built once per beat from
 * the world, then kept up to date by the placements decided in it, so that later ones see earlier ones.
 */
import type { Port } from '../../shared/spec.ts'
import type { Node, NodeName, ServiceName, ServiceVersion, TaskId, World } from '../world.ts'
import { isBoundTo } from './checks/host-port.ts'
import { holdsRoom } from './task-facts.ts'

export type NodePicture = {
  node: Node
  cpuCoresPromised: number
  memoryBytesPromised: number
  taskCount: number
  tasksByService: Map<ServiceName, number>
  portsHeld: HeldPort[]
}

export type HeldPort = { port: Port; task: TaskId }

export type Picture = Map<NodeName, NodePicture>

export function pictureOf(world: World): Picture {
  const picture: Picture = new Map()
  for (const node of world.nodes.values()) picture.set(node.name, nodePicture(world, node))
  return picture
}

/** The node as if nothing ran there. */
export function emptyPicture(node: Node): NodePicture {
  return {
    node,
    cpuCoresPromised: 0,
    memoryBytesPromised: 0,
    taskCount: 0,
    tasksByService: new Map(),
    portsHeld: [],
  }
}

function nodePicture(world: World, node: Node): NodePicture {
  const seen = emptyPicture(node)
  for (const task of world.tasksByNode.get(node.name) ?? []) {
    const version = world.services.get(task.service)?.versions.get(task.version)
    if (version && holdsRoom(task)) hold(seen, task.id, task.service, version)
  }
  return seen
}

/** The node takes the task: its room is held from now on. */
export function hold(seen: NodePicture, task: TaskId, service: ServiceName, version: ServiceVersion): void {
  const { reservation } = version.spec.task.container.resources
  seen.cpuCoresPromised += reservation.cpuCores
  seen.memoryBytesPromised += reservation.memoryBytes
  seen.taskCount += 1
  seen.tasksByService.set(service, (seen.tasksByService.get(service) ?? 0) + 1)
  for (const port of version.spec.task.container.ports) {
    if (isBoundTo(port)) seen.portsHeld.push({ port, task })
  }
}

/** The same node as if the task had left: for asking whether stopping it would make room. */
export function without(seen: NodePicture, task: TaskId, service: ServiceName, version: ServiceVersion): NodePicture {
  const { reservation } = version.spec.task.container.resources
  return {
    ...seen,
    cpuCoresPromised: seen.cpuCoresPromised - reservation.cpuCores,
    memoryBytesPromised: seen.memoryBytesPromised - reservation.memoryBytes,
    taskCount: seen.taskCount - 1,
    tasksByService: new Map(seen.tasksByService).set(service, (seen.tasksByService.get(service) ?? 1) - 1),
    portsHeld: seen.portsHeld.filter((held) => held.task !== task),
  }
}
