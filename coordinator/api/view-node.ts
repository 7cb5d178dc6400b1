/** A node of the world as a document of the API. */
import type { NodeDocument } from '../../shared/api.ts'
import { genericNeed, genericOn } from '../decide/generic-need.ts'
import { type Room, roomOf } from '../decide/room.ts'
import type { Node, Task, World } from '../world.ts'
import { isPast } from './view-task.ts'
import { isoTime } from './words.ts'

export function viewNode(world: World, node: Node): NodeDocument {
  const tasks = [...(world.tasksByNode.get(node.name) ?? [])].filter((task) => !isPast(task))
  const { generic, ...room } = roomOf(node)
  const promised = promisedOn(world, node, tasks)
  return {
    name: node.name,
    status: node.status.name,
    statusSince: isoTime(node.status.since),
    statusReason: 'why' in node.status ? node.status.why : null,
    availability: node.availability,
    labels: { ...node.agentLabels, ...node.operatorLabels },
    joinedAt: isoTime(node.joinedAt),
    address: node.connection?.address ?? node.inventory?.addresses[0] ?? null,
    agentVersion: node.agentVersion,
    engineVersion: node.engine?.version ?? null,
    os: node.inventory?.os ?? null,
    arch: node.inventory?.arch ?? null,
    hostname: node.inventory?.hostname ?? null,
    cpuCores: node.inventory?.cpuCores ?? 0,
    memoryBytes: node.inventory?.memoryBytes ?? 0,
    diskBytes: node.inventory?.diskBytes ?? 0,
    generic,
    cpuCoresPromised: Math.round(promised.cpuCores * 1000) / 1000,
    memoryBytesPromised: promised.memoryBytes,
    diskBytesPromised: promised.diskBytes,
    genericPromised: promised.generic,
    taints: node.taints,
    reserve: node.reserve,
    overcommit: node.overcommit,
    room,
    load: node.load,
    clockSkewMs: node.clockSkewMs,
    tasks: { running: tasks.filter((task) => task.observed.state === 'running').length, total: tasks.length },
    assignmentRevision: node.assignmentRevision,
    appliedRevision: node.appliedRevision,
  }
}

function promisedOn(world: World, node: Node, tasks: readonly Task[]): Room {
  const promised: Room = { cpuCores: 0, memoryBytes: 0, diskBytes: 0, generic: {} }
  for (const task of tasks) {
    const container = world.services.get(task.service)?.versions.get(task.version)?.spec.task.container
    if (!container) continue
    const { cpuCores, memoryBytes, diskBytes = 0, generic } = container.resources.reservation
    promised.cpuCores += cpuCores
    promised.memoryBytes += memoryBytes
    promised.diskBytes += diskBytes
    if (!generic && !container.deviceRequests) continue
    for (const [resource, count] of genericOn(genericNeed(container), node.inventory?.generic ?? {})) {
      promised.generic[resource] = (promised.generic[resource] ?? 0) + count
    }
  }
  return promised
}
