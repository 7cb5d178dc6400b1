/** A node of the world as a document of the API. */
import type { NodeDocument } from '../../shared/api.ts'
import { emptyPicture, type NodePicture, promise } from '../decide/picture.ts'
import type { Node, World } from '../world.ts'
import { isPast } from './view-task.ts'
import { isoTime } from './words.ts'

export function viewNode(world: World, node: Node): NodeDocument {
  const { seen, tasks } = promisedOn(world, node)
  const { generic, ...room } = seen.room
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
    cpuCoresPromised: Math.round(seen.cpuCoresPromised * 1000) / 1000,
    memoryBytesPromised: seen.memoryBytesPromised,
    diskBytesPromised: seen.diskBytesPromised,
    genericPromised: Object.fromEntries(seen.genericPromised),
    taints: node.taints,
    reserve: node.reserve,
    overcommit: node.overcommit,
    room,
    load: node.load,
    clockSkewMs: node.clockSkewMs,
    tasks,
    assignmentRevision: node.assignmentRevision,
    appliedRevision: node.appliedRevision,
  }
}

/** No more than the sums: a cluster's status asks this of all its tasks. */
function promisedOn(world: World, node: Node): { seen: NodePicture; tasks: NodeDocument['tasks'] } {
  const tasks = { running: 0, total: 0 }
  const seen = emptyPicture(node)
  for (const task of world.tasksByNode.get(node.name) ?? []) {
    if (isPast(task)) continue
    tasks.total += 1
    if (task.observed.state === 'running') tasks.running += 1
    const version = world.services.get(task.service)?.versions.get(task.version)
    if (version) promise(seen, version)
  }
  return { seen, tasks }
}
