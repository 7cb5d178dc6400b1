/** Worlds for tests. Builders fill in what does not matter; a node is ready and a task runs unless told otherwise. */
import { addLoad, newLoadHistory } from '../../coordinator/decide/load-history.ts'
import { rebuildIndexes } from '../../coordinator/store/indexes.ts'
import type { Node, Observed, Service, ServiceVersion, Stack, Task, World } from '../../coordinator/world.ts'
import type { Instant } from '../../shared/clock.ts'
import { CLUSTER_SETTINGS_DEFAULT, type ClusterSettingsChange, withSettings } from '../../shared/cluster-settings.ts'
import type { HostLoad } from '../../shared/load.ts'
import { fullServiceName } from '../../shared/names.ts'
import { type GenericResources, specHash, type Taint, type TaintEffect } from '../../shared/spec.ts'
import type { EngineInfo, NodeInventory } from '../../shared/wire/up.ts'
import { aServiceSpec, GiB, type ServiceSpecGiven } from './spec.ts'

/** When tests' worlds are looked at: an ordinary instant, far from 0. */
export const NOW: Instant = Date.UTC(2026, 10, 23, 12)

export function aWorld(
  given: {
    nodes?: Node[]
    services?: Service[]
    stacks?: Stack[]
    tasks?: Task[]
    revision?: number
    settings?: ClusterSettingsChange
  } = {},
): World {
  const services = given.services ?? []
  const stackNames = new Set(services.map((service) => service.stack))
  const stacks = given.stacks ?? [...stackNames].map((name) => ({ name, deployedAt: NOW - 60_000, deployment: 1 }))
  const tasks = given.tasks ?? []
  const world: World = {
    cluster: 'berth-test',
    revision: given.revision ?? 1,
    nextTaskNumber: 1000 + tasks.length,
    settings: withSettings(CLUSTER_SETTINGS_DEFAULT, given.settings ?? {}),
    nodes: byName(given.nodes ?? []),
    stacks: byName(stacks),
    services: byName(services),
    tasks: new Map(tasks.map((task) => [task.id, task])),
    tasksByService: new Map(),
    tasksByNode: new Map(),
    tasksWaiting: new Set(),
    tasksStopping: new Set(),
    servicesFailing: new Set(),
    tasksFailing: new Set(),
    servicesInMotion: new Set(),
    usageByService: new Map(),
    rebalances: [],
    rebalanceLookedAt: 0,
  }
  rebuildIndexes(world)
  return world
}

/** The shortcuts reach into what the node has, keeps back and may promise; a taint may be written `gpu=yes:no-schedule`. */
export type NodeGiven = Omit<Partial<Node>, 'taints' | 'reserve' | 'overcommit'> & {
  cpuCores?: number
  memoryBytes?: number
  diskBytes?: number
  generic?: GenericResources
  taints?: (Taint | string)[]
  reserve?: Partial<Node['reserve']>
  overcommit?: Partial<Node['overcommit']>
}

export function aNode(given: NodeGiven = {}): Node {
  const { cpuCores, memoryBytes, diskBytes, generic, taints, reserve, overcommit, ...node } = given
  const name = given.name ?? 'n1'
  return {
    name,
    keyFingerprint: `key-of-${name}`,
    joinedAt: NOW - 3_600_000,
    availability: 'active',
    operatorLabels: {},
    agentLabels: {},
    inventory: anInventory({
      hostname: name,
      cpuCores: cpuCores ?? 4,
      memoryBytes: memoryBytes ?? 8 * GiB,
      ...(diskBytes !== undefined && { diskBytes }),
      ...(generic && { generic }),
    }),
    taints: (taints ?? []).map((taint) => (typeof taint === 'string' ? aTaint(taint) : taint)),
    reserve: { cpuCores: 0, memoryBytes: 0, diskBytes: 0, ...reserve },
    overcommit: { cpu: 1, memory: 1, disk: 1, ...overcommit },
    assignmentRevision: 1,
    status: { name: 'ready', since: NOW - 600_000 },
    engine: anEngine(),
    engineSince: NOW - 600_000,
    connection: { instance: `instance-of-${name}`, openedAt: NOW - 600_000, address: '10.0.0.1', wireVersion: 1 },
    load: null,
    loadHistory: historyOf(given.load ?? null, cpuCores ?? given.inventory?.cpuCores ?? 4),
    usageSampledAt: 0,
    containerLoads: new Map(),
    heard: { lastAt: NOW - 300, lastBeatAt: NOW - 300, meanIntervalMs: 1000, varianceMs2: 100, samples: 600 },
    fullyObserved: true,
    agentVersion: '0.1.0',
    clockSkewMs: 0,
    appliedRevision: 1,
    ...node,
  }
}

/** `key=value:effect`; without a value `key:effect`. */
export function aTaint(text: string): Taint {
  const [, key = '', value = '', effect = ''] = /^([^=:]+)(?:=([^:]*))?:(.+)$/.exec(text) ?? []
  return { key, value, effect: effect as TaintEffect }
}

/** As if it had always been so. */
function historyOf(load: Node['load'], cpuCores: number): Node['loadHistory'] {
  const history = newLoadHistory()
  if (load) addLoad(history, load, cpuCores, NOW)
  return history
}

/** `n1`, `n2`, … */
export function nodes(count: number, given: Parameters<typeof aNode>[0] = {}): Node[] {
  return Array.from({ length: count }, (_, index) => aNode({ ...given, name: `n${index + 1}` }))
}

export function anEngine(given: Partial<EngineInfo> = {}): EngineInfo {
  return { state: 'up', version: '28.0.0', apiVersion: '1.48', ...given }
}

export function anInventory(given: Partial<NodeInventory> = {}): NodeInventory {
  return {
    hostname: 'n1',
    os: 'linux',
    arch: 'amd64',
    cpuCores: 4,
    memoryBytes: 8 * GiB,
    addresses: ['10.0.0.1'],
    engineLabels: {},
    ...given,
  }
}

/** Of an idle host, unless told otherwise. */
export function aHostLoad(given: Partial<HostLoad> = {}): HostLoad {
  return {
    cpuCoresUsed: 0,
    memoryBytesUsed: 0,
    memoryBytesTotal: 8 * GiB,
    loadAverage1m: 0,
    diskBytesUsed: 0,
    diskBytesTotal: 1,
    diskReadBytesPerSecond: 0,
    diskWriteBytesPerSecond: 0,
    networkReceiveBytesPerSecond: 0,
    networkSendBytesPerSecond: 0,
    ...given,
  }
}

/** A settled service of one version unless `rollout`, `version` and `versions` say otherwise. */
export function aService(given: Partial<Service> & { spec?: ServiceSpecGiven } = {}): Service {
  const { spec, ...service } = given
  const stack = given.stack ?? 'shop'
  const shortName = given.shortName ?? 'web'
  const version = given.version ?? 1
  return {
    name: fullServiceName(stack, shortName),
    stack,
    shortName,
    createdAt: NOW - 600_000,
    version,
    versions: versionMap(aVersion(version, spec)),
    removing: false,
    rollout: { state: 'settled', version, finishedAt: NOW - 500_000 },
    release: { version, state: 'released' },
    homes: new Map(),
    ...service,
  }
}

export function aVersion(version: number, given: ServiceSpecGiven = {}): ServiceVersion {
  const spec = aServiceSpec(given)
  return { version, spec, taskHash: specHash(spec.task), createdAt: NOW - 600_000 }
}

export function versionMap(...versions: ServiceVersion[]): Map<number, ServiceVersion> {
  return new Map(versions.map((version) => [version.version, version]))
}

/** Running on `node` (`n1` unless told; null: waiting). `state` and `health` are shortcuts into `observed`. */
export function aTask(
  given: Omit<Partial<Task>, 'observed'> & {
    observed?: Partial<Observed>
    state?: Observed['state']
    health?: Observed['health']
  } = {},
): Task {
  const { observed, state, health, ...task } = given
  const service = given.service ?? 'shop_web'
  const slot = given.slot ?? 1
  const node = given.node === undefined ? 'n1' : given.node
  const seen = anObserved({
    state: state ?? (node === null ? 'waiting' : 'running'),
    ...(health && { health }),
    ...observed,
  })
  return {
    id: `${service}.${slot}.a`,
    service,
    slot,
    version: 1,
    node,
    onlyNode: null,
    desired: 'running',
    createdAt: NOW - 500_000,
    placedAt: node === null ? 0 : NOW - 500_000,
    firstUpAt: seen.state === 'running' || seen.state === 'completed' ? NOW - 490_000 : null,
    stopReason: null,
    waitsFor: [],
    observed: seen,
    ...task,
  }
}

export function anObserved(given: Partial<Observed> = {}): Observed {
  const state = given.state ?? 'running'
  const unseen = state === 'waiting' || state === 'assigned'
  return {
    attempt: unseen ? 0 : 1,
    state,
    since: NOW - 490_000,
    health: 'none',
    healthSince: NOW - 490_000,
    healthMessage: null,
    containerId: unseen ? null : 'c0ffee',
    imageId: null,
    exitCode: null,
    oomKilled: false,
    interruptions: 0,
    error: null,
    restartAt: null,
    ports: [],
    ...given,
  }
}

function byName<T extends { name: string }>(things: T[]): Map<string, T> {
  return new Map(things.map((thing) => [thing.name, thing]))
}
