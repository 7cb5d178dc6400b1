/** A node of the world as a document of the API. */
import type { NodeDocument } from '../../shared/api.ts'
import { emptyPicture, promise } from '../decide/picture.ts'
import { roomOf } from '../decide/room.ts'
import { isPast } from '../decide/task-facts.ts'
import { nothingPromised } from '../store/tally.ts'
import type { Amounts, Node, World } from '../world.ts'
import { isoTime } from './words.ts'

export function viewNode(world: World, node: Node): NodeDocument {
  const promised = promisedOn(world, node)
  const { generic, ...room } = roomOf(node)
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
    genericPromised: Object.fromEntries(promised.generic),
    taints: node.taints,
    reserve: node.reserve,
    overcommit: node.overcommit,
    room,
    load: node.load,
    clockSkewMs: node.clockSkewMs,
    tasks: promised.tasks,
    assignmentRevision: node.assignmentRevision,
    appliedRevision: node.appliedRevision,
  }
}

type PromisedOn = Amounts & { generic: ReadonlyMap<string, number>; tasks: NodeDocument['tasks'] }

/** Each task is looked at only where the world has no tally, or countable things are promised, which a tally leaves out. */
function promisedOn(world: World, node: Node): PromisedOn {
  if (!world.tally) return walkedOn(world, node)
  const promised = world.tally.nodes.get(node.name) ?? nothingPromised()
  if (promised.withGeneric > 0) return walkedOn(world, node)
  const { cpuMicrocores, memoryBytes, diskBytes, running, tasks } = promised
  return {
    ...{ cpuCores: cpuMicrocores / 1e6, memoryBytes, diskBytes },
    ...{ generic: new Map(), tasks: { running, total: tasks } },
  }
}

function walkedOn(world: World, node: Node): PromisedOn {
  const tasks = { running: 0, total: 0 }
  const seen = emptyPicture(node)
  for (const task of world.tasksByNode.get(node.name) ?? []) {
    if (isPast(task)) continue
    tasks.total += 1
    if (task.observed.state === 'running') tasks.running += 1
    const version = world.services.get(task.service)?.versions.get(task.version)
    if (version) promise(seen, version)
  }
  const { cpuCoresPromised: cpuCores, memoryBytesPromised: memoryBytes, diskBytesPromised: diskBytes } = seen
  return { cpuCores, memoryBytes, diskBytes, generic: seen.genericPromised, tasks }
}
