/**
 * What of the World is stored, and under which key. Facts that agents tell anew on every connection (load, Engine, what
 * was heard) are not stored. A value handed to the store is a copy: the World goes on changing, what was written does not.
 *
 *   world counters                    cluster, revision, next task number
 *   world settings                    what is set for the cluster as a whole; missing: what is usual
 *   world node NAME                   identity, labels, taints, availability, inventory, reserve and overcommit, status
 *   world assignment NAME             the node's assignment revision: alone, as it changes with every task
 *   world rebalance NUMBER            the latest of them
 *   world stack NAME
 *   world service NAME                all but its versions
 *   world version NAME NUMBER         a spec; never changes, but for what was learnt where it does not run
 *   world task ID                     with what was last observed of it
 */
import { CLUSTER_SETTINGS_DEFAULT, type ClusterSettings, withSettings } from '../../shared/cluster-settings.ts'
import { newLoadHistory } from '../decide/load-history.ts'
import type { Node, Rebalance, Service, ServiceVersion, Stack, Task, World } from '../world.ts'
import { rebuildIndexes } from './indexes.ts'
import type { Key, Write } from './store.ts'

export const WORLD_PREFIX: Key = ['world']

export function emptyWorld(cluster: string): World {
  return {
    cluster,
    revision: 0,
    nextTaskNumber: 1,
    settings: CLUSTER_SETTINGS_DEFAULT,
    nodes: new Map(),
    stacks: new Map(),
    services: new Map(),
    tasks: new Map(),
    tasksByService: new Map(),
    tasksByNode: new Map(),
    tasksWaiting: new Set(),
    tasksStopping: new Set(),
    servicesInMotion: new Set(),
    servicesFailing: new Set(),
    tasksFailing: new Set(),
    usageByService: new Map(),
    rebalances: [],
    rebalanceLookedAt: 0,
  }
}

/**
 * Rebuilds the World from all entries under WORLD_PREFIX, in any order; other keys are passed over. `cluster` names a
 * World that was never written to. Nodes come back without a connection: nothing has been heard of them yet.
 */
export function loadWorld(entries: Iterable<{ key: Key; value: unknown }>, cluster = ''): World {
  const world = emptyWorld(cluster)
  const versions: { service: string; version: ServiceVersion }[] = []
  const revisions = new Map<string, number>()
  for (const { key, value } of entries) {
    if (key[0] !== WORLD_PREFIX[0]) continue
    const name = String(key[2] ?? '')
    if (key[1] === 'counters') Object.assign(world, value as Counters)
    else if (key[1] === 'rebalance') world.rebalances.push(value as Rebalance)
    else if (key[1] === 'settings') world.settings = withSettings(CLUSTER_SETTINGS_DEFAULT, value as ClusterSettings)
    else if (key[1] === 'node') world.nodes.set(name, nodeFrom(value as NodeRecord))
    else if (key[1] === 'assignment') revisions.set(name, value as number)
    else if (key[1] === 'stack') world.stacks.set(name, { ...(value as Stack) })
    else if (key[1] === 'service') world.services.set(name, serviceFrom(value as ServiceRecord))
    else if (key[1] === 'version') versions.push({ service: name, version: value as ServiceVersion })
    else if (key[1] === 'task') world.tasks.set(name, { ...(value as Task) })
  }
  for (const [name, revision] of revisions) {
    const node = world.nodes.get(name)
    if (node) node.assignmentRevision = revision
  }
  world.rebalances.sort((a, b) => a.number - b.number)
  for (const { service, version } of versions) world.services.get(service)?.versions.set(version.version, version)
  rebuildIndexes(world)
  return world
}

// ---------------------------------------------------------------- the writes

type Counters = Pick<World, 'cluster' | 'revision' | 'nextTaskNumber'>
/** What a node is set to by operators; stores of before these could be set do not have them. */
type NodeSettings = Pick<Node, 'taints' | 'reserve' | 'overcommit'>
type NodeRecord = Partial<NodeSettings> &
  Pick<
    Node,
    'name' | 'keyFingerprint' | 'joinedAt' | 'availability' | 'operatorLabels' | 'agentLabels' | 'inventory' | 'status'
  >
type ServiceRecord = Omit<Service, 'versions' | 'homes'> & { homes: [number, string][] }

export function putRebalance(rebalance: Rebalance): Write {
  return { key: ['world', 'rebalance', rebalance.number], value: { ...rebalance } }
}

export function deleteRebalance({ number }: Rebalance): Write {
  return { key: ['world', 'rebalance', number], delete: true }
}

export function putCounters(world: World): Write {
  const { cluster, revision, nextTaskNumber } = world
  return { key: ['world', 'counters'], value: { cluster, revision, nextTaskNumber } satisfies Counters }
}

export function putSettings(world: World): Write {
  return { key: ['world', 'settings'], value: world.settings }
}

export function putNode(node: Node): Write {
  const { name, keyFingerprint, joinedAt, availability, operatorLabels, agentLabels, inventory, status } = node
  const { taints, reserve, overcommit } = node
  const identity = { name, keyFingerprint, joinedAt, availability, operatorLabels, agentLabels, inventory, status }
  const value = { ...identity, taints, reserve, overcommit }
  return { key: ['world', 'node', name], value: value satisfies NodeRecord }
}

export function putAssignmentRevision(node: Node): Write {
  return { key: ['world', 'assignment', node.name], value: node.assignmentRevision }
}

export function deleteNode(name: string): Write[] {
  return [
    { key: ['world', 'node', name], delete: true },
    { key: ['world', 'assignment', name], delete: true },
  ]
}

export function putStack(stack: Stack): Write {
  return { key: ['world', 'stack', stack.name], value: { ...stack } }
}

export function deleteStack(name: string): Write {
  return { key: ['world', 'stack', name], delete: true }
}

export function putService(service: Service): Write {
  const { versions: _versions, homes, ...rest } = service
  const value: ServiceRecord = { ...rest, homes: [...homes] }
  return { key: ['world', 'service', service.name], value }
}

export function deleteService(service: Service): Write[] {
  return [
    { key: ['world', 'service', service.name], delete: true },
    ...[...service.versions.keys()].map((version) => deleteVersion(service.name, version)),
  ]
}

export function putVersion(service: string, version: ServiceVersion): Write {
  return { key: ['world', 'version', service, version.version], value: version }
}

export function deleteVersion(service: string, version: number): Write {
  return { key: ['world', 'version', service, version], delete: true }
}

export function putTask(task: Task): Write {
  return { key: ['world', 'task', task.id], value: { ...task } }
}

export function deleteTask(id: string): Write {
  return { key: ['world', 'task', id], delete: true }
}

// ---------------------------------------------------------------- and back

function nodeFrom(record: NodeRecord): Node {
  return {
    taints: [],
    reserve: { cpuCores: 0, memoryBytes: 0, diskBytes: 0 },
    overcommit: { cpu: 1, memory: 1, disk: 1 },
    ...record,
    assignmentRevision: 0,
    engine: null,
    engineSince: 0,
    connection: null,
    load: null,
    loadHistory: newLoadHistory(),
    usageSampledAt: 0,
    containerLoads: new Map(),
    heard: { lastAt: 0, lastBeatAt: 0, meanIntervalMs: 0, varianceMs2: 0, samples: 0 },
    fullyObserved: false,
    agentVersion: null,
    clockSkewMs: 0,
    appliedRevision: 0,
  }
}

/** A node that joins; also what a loaded one looks like before its agent speaks. */
export function newNode(name: string, keyFingerprint: string, at: number): Node {
  return nodeFrom({
    name,
    keyFingerprint,
    joinedAt: at,
    availability: 'active',
    operatorLabels: {},
    agentLabels: {},
    inventory: null,
    status: { name: 'joining', since: at },
  })
}

function serviceFrom(record: ServiceRecord): Service {
  return { ...record, homes: new Map(record.homes), versions: new Map() }
}
