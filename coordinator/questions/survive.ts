/**
 * Which nodes could be lost, one at a time, with everything still finding a place. Trying each of them would cost nodes × nodes,
 * so most are proven instead: what would have to move from a node cannot fail to fit, in whatever order and by whatever policy,
 * when the nodes that can take it have room for it several times over. Only nodes without such a proof are tried, in a forecast.
 *
 * The proof. Let k tasks have to move, of R kinds of resource. A task of version v finds no place only if each node s that can take
 * one now lacks room by then: of some resource, tasks that came there before it have used more than free(s) − need(v). As a share
 * of all that moves that is more than slack(s) = min over resources of (free(s) − need(v)) / total. All the shares together are at
 * most R. So when the slacks add up to R or more, there is a place for it. A host port or a limit per node may close a node
 * as well, but only one that has taken one of the k tasks: the k − 1 best nodes are then left out of the sum.
 */
import type { Instant } from '../../shared/clock.ts'
import { refusalOf } from '../decide/checks/all.ts'
import { type NodePicture, pictureOf } from '../decide/picture.ts'
import type { PlaceRequest } from '../decide/requests.ts'
import { roomOf } from '../decide/room.ts'
import { hasNamedVolume, homeVolumeOf } from '../decide/service-facts.ts'
import { holdsRoom } from '../decide/task-facts.ts'
import type { Node, NodeName, Refusal, Service, ServiceName, ServiceVersion, Task, World } from '../world.ts'
import { differencesOf } from './differences.ts'
import { forecast } from './forecast.ts'
import { isReady, losing } from './lose.ts'

export type Broken = {
  service: ServiceName
  /** How many of its tasks would have no place. */
  tasks: number
  slots: number[]
  /** The volume that is on the lost node only. */
  volume: string | null
  refusals: readonly Refusal[]
}

export type Survival = {
  /** Each of them could be lost. */
  safe: NodeName[]
  broken: { node: NodeName; services: Broken[] }[]
  /** Neither proven nor tried: there were more than may be tried. */
  unknown: NodeName[]
}

export type SurvivalBounds = {
  /** How many nodes are tried at most. */
  triesMax: number
  /** Stops at the first one that could not be lost. */
  firstOnly: boolean
  mayGoOn: () => boolean
}

export const TRIES_MAX = 50

/** In a world that is at rest. Only nodes that are ready are asked about. */
export function survivalOf(world: World, now: Instant, bounds: Partial<SurvivalBounds> = {}): Survival {
  const { triesMax = TRIES_MAX, firstOnly = false, mayGoOn = () => true } = bounds
  const survival: Survival = { safe: [], broken: [], unknown: [] }
  const proof = newProof(world)
  let tries = 0
  for (const node of heaviestFirst(world)) {
    const leaving = leavingTasks(world, node)
    if (leaving.length === 0 || proves(proof, node, leaving)) survival.safe.push(node.name)
    else if (tries >= triesMax || !mayGoOn()) survival.unknown.push(node.name)
    else {
      tries += 1
      const services = brokenBy(world, node.name, now)
      if (services.length === 0) survival.safe.push(node.name)
      else {
        survival.broken.push({ node: node.name, services })
        if (firstOnly) return survival
      }
    }
  }
  survival.safe.sort()
  survival.broken.sort((a, b) => (a.node < b.node ? -1 : 1))
  return survival
}

/** What would have no place any more if the node were lost. */
export function brokenBy(world: World, node: NodeName, now: Instant): Broken[] {
  const seen = forecast(world, losing(world, [node], now), now)
  const broken = new Map<ServiceName, Broken>()
  for (const { kind, service: name, slot, taskBefore, refusals } of differencesOf(world, seen)) {
    if (kind !== 'displace') continue
    const known = broken.get(name) ?? { service: name, tasks: 0, slots: [], volume: null, refusals: [] }
    known.tasks += 1
    known.slots.push(slot)
    if (refusals.length > known.refusals.length) known.refusals = refusals
    known.volume ??= volumeOf(world, name, taskBefore)
    broken.set(name, known)
  }
  return [...broken.values()]
}

function volumeOf(world: World, name: ServiceName, id: string | null): string | null {
  const service = world.services.get(name)
  const task = id === null ? undefined : world.tasks.get(id)
  const spec = task && service?.versions.get(task.version)?.spec
  return spec && task && service.homes.get(task.slot) === task.node ? homeVolumeOf(spec) : null
}

/** The likeliest to break something first. */
function heaviestFirst(world: World): Node[] {
  const ready = [...world.nodes.values()].filter(isReady)
  const count = (node: Node) => world.tasksByNode.get(node.name)?.size ?? 0
  return ready.sort((a, b) => count(b) - count(a) || (a.name < b.name ? -1 : 1))
}

// ---------------------------------------------------------------- the proof

type Leaving = { task: Task; service: Service; version: ServiceVersion }

/** Tasks that would have to be somewhere else. A global service's are bound to their node, and go with it. */
function leavingTasks(world: World, node: Node): Leaving[] {
  const leaving: Leaving[] = []
  for (const task of world.tasksByNode.get(node.name) ?? []) {
    const service = world.services.get(task.service)
    const version = service?.versions.get(task.version)
    if (!service || !version || task.slot === 0 || task.desired !== 'running' || !holdsRoom(task)) continue
    leaving.push({ task, service, version })
  }
  return leaving
}

type Amounts = { cpu: number; memory: number; disk: number }
const RESOURCES = ['cpu', 'memory', 'disk'] as const

type Taker = { node: NodeName; free: Amounts }
type Proof = {
  /** Those with the most room first. */
  nodes: { seen: NodePicture; free: Amounts }[]
  /** By version: the nodes that would take one task of it now, as far as they have been asked for. */
  takers: Map<string, { found: Taker[]; next: number }>
}

function newProof(world: World): Proof {
  const nodes: Proof['nodes'] = []
  for (const seen of pictureOf(world).values())
    if (isReady(seen.node)) nodes.push({ seen, free: freeOf(world, seen.node) })
  const size = (free: Amounts) => free.cpu / 4 + free.memory / 2 ** 34
  nodes.sort((a, b) => size(b.free) - size(a.free))
  return { nodes, takers: new Map() }
}

function freeOf(world: World, node: Node): Amounts {
  const room = roomOf(node)
  const free = { cpu: room.cpuCores, memory: room.memoryBytes, disk: room.diskBytes }
  for (const task of world.tasksByNode.get(node.name) ?? []) {
    const version = world.services.get(task.service)?.versions.get(task.version)
    if (!version || !holdsRoom(task)) continue
    const need = needOf(version)
    for (const resource of RESOURCES) free[resource] -= need[resource]
  }
  return free
}

function needOf({ spec }: ServiceVersion): Amounts {
  const { cpuCores, memoryBytes, diskBytes = 0 } = spec.task.container.resources.reservation
  return { cpu: cpuCores, memory: memoryBytes, disk: diskBytes }
}

function proves(proof: Proof, node: Node, leaving: readonly Leaving[]): boolean {
  const total: Amounts = { cpu: 0, memory: 0, disk: 0 }
  const versions = new Map<string, Leaving>()
  let closes = false
  for (const each of leaving) {
    const { service, version } = each
    if (!isPlain(version)) return false
    closes ||= mayCloseNodes(version)
    const need = needOf(version)
    for (const resource of RESOURCES) total[resource] += need[resource]
    versions.set(`${service.name} ${version.version}`, each)
  }
  const kinds = RESOURCES.filter((resource) => total[resource] > 0).length
  const leftOut = closes ? leaving.length - 1 : 0
  for (const [key, each] of versions) {
    if (!addsUp(proof, key, each, node.name, total, kinds, leftOut)) return false
  }
  return true
}

/** What the proof knows nothing of is tried. */
function isPlain(version: ServiceVersion): boolean {
  const { container } = version.spec.task
  const counts = container.resources.reservation.generic !== undefined || container.deviceRequests !== undefined
  const isBoundToOthers = (version.spec.placement.affinity ?? []).some(({ required }) => required)
  return !hasNamedVolume(version.spec) && !counts && !isBoundToOthers
}

function mayCloseNodes({ spec }: ServiceVersion): boolean {
  return (
    spec.placement.maxPerNode !== undefined || spec.task.container.ports.some((port) => port.hostPort !== undefined)
  )
}

/** Whether the slacks of those that take the version add up. */
function addsUp(
  proof: Proof,
  key: string,
  leaving: Leaving,
  lost: NodeName,
  total: Amounts,
  kinds: number,
  leftOut: number,
): boolean {
  const need = needOf(leaving.version)
  const slacks: number[] = []
  let sum = 0
  for (const { node, free } of takersOf(proof, key, leaving)) {
    if (node === lost) continue
    const shares = RESOURCES.filter((resource) => total[resource] > 0).map(
      (resource) => (free[resource] - need[resource]) / total[resource],
    )
    // Where nothing is promised nothing runs out.
    const slack = shares.length === 0 ? Number.POSITIVE_INFINITY : Math.min(...shares)
    slacks.push(slack)
    sum += slack
    if (slacks.length <= leftOut) continue
    if (kinds === 0 || leftOut === 0) {
      if (sum >= kinds) return true
    } else if (sumWithoutBest(slacks, leftOut) >= kinds) return true
    if (slacks.length > TAKERS_MAX) return false
  }
  return false
}

/** A proof that needs more nodes than this is left to trying. */
const TAKERS_MAX = 200

function sumWithoutBest(slacks: readonly number[], count: number): number {
  return slacks
    .toSorted((a, b) => b - a)
    .slice(count)
    .reduce((sum, slack) => sum + slack, 0)
}

function* takersOf(proof: Proof, key: string, { task, service, version }: Leaving): Iterable<Taker> {
  let takers = proof.takers.get(key)
  if (!takers) {
    takers = { found: [], next: 0 }
    proof.takers.set(key, takers)
  }
  const request: PlaceRequest = { task: '', service, version, slot: task.slot, onlyNode: null, waitsFor: [] }
  for (let index = 0; ; index += 1) {
    while (index >= takers.found.length) {
      const asked = proof.nodes[takers.next]
      if (!asked) return
      takers.next += 1
      if (refusalOf(request, asked.seen) === null) takers.found.push({ node: asked.seen.node.name, free: asked.free })
    }
    yield takers.found[index]!
  }
}
