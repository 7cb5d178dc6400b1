/** What a user asked for, written into the World. Admission (decide/admit.ts) has said yes before. */
import type { Instant } from '../../shared/clock.ts'
import { withSettings } from '../../shared/cluster-settings.ts'
import { fullServiceName } from '../../shared/names.ts'
import { canonicalJson, type ServiceSpec, type StackSpec, type Taint } from '../../shared/spec.ts'
import { specsInOrder } from '../decide/dependencies-first.ts'
import { movesBack, undoable } from '../decide/rebalance/admit.ts'
import { rollbackVersionOf, wantedVersionOf } from '../decide/service-facts.ts'
import type { Change, Service, ServiceName, ServiceVersion, World } from '../world.ts'
import { addVersion, firstRelease, saveService } from './add-version.ts'
import { beginRebalance } from './apply-rebalance.ts'
import { indexService } from './indexes.ts'
import { deleteNode, newNode, putNode, putService, putSettings, putStack, putVersion } from './records.ts'
import { hashesOf, restartDependents, taskHashes } from './restart-dependents.ts'
import type { Write } from './store.ts'

export function applyChange(world: World, change: Change, at: Instant, writes: Write[]): void {
  switch (change.kind) {
    case 'deploy-stack':
      deployStack(world, change.spec, change.prune, at, writes)
      return
    case 'remove-stack':
      for (const service of world.services.values()) {
        if (service.stack === change.stack) removeService(world, service, writes)
      }
      return
    case 'scale-service':
      scaleService(world, change.service, change.replicas, at, writes)
      return
    case 'rollback-service':
      rollbackService(world, change.service, at, writes)
      return
    case 'rebalance':
      beginRebalance(world, { by: 'operator', undoes: null, ...change }, at, writes)
      return
    case 'undo-rebalance': {
      const last = undoable(world)
      if (!last) return
      const { atOnce } = change
      beginRebalance(world, { by: 'undo', undoes: last.number, moves: movesBack(last), atOnce }, at, writes)
      return
    }
    case 'set-availability': {
      const node = world.nodes.get(change.node)
      if (!node || node.availability === change.availability) return
      node.availability = change.availability
      writes.push(putNode(node))
      return
    }
    case 'label-node': {
      const node = world.nodes.get(change.node)
      if (!node) return
      const kept = Object.entries(node.operatorLabels).filter(([label]) => !change.remove.includes(label))
      node.operatorLabels = { ...Object.fromEntries(kept), ...change.set }
      writes.push(putNode(node))
      return
    }
    case 'taint-node': {
      const node = world.nodes.get(change.node)
      if (!node) return
      node.taints = taintsAfter(node.taints, change)
      writes.push(putNode(node))
      return
    }
    case 'set-node': {
      const node = world.nodes.get(change.node)
      if (!node) return
      node.reserve = { ...node.reserve, ...change.reserve }
      node.overcommit = { ...node.overcommit, ...change.overcommit }
      writes.push(putNode(node))
      return
    }
    case 'set-cluster':
      world.settings = withSettings(world.settings, change.settings)
      writes.push(putSettings(world))
      return
    case 'join-node': {
      const known = world.nodes.get(change.node)
      if (known && known.keyFingerprint === change.keyFingerprint) return
      const node = known ?? newNode(change.node, change.keyFingerprint, at)
      node.keyFingerprint = change.keyFingerprint
      world.nodes.set(node.name, node)
      writes.push(putNode(node))
      return
    }
    case 'remove-node':
      removeNode(world, change.node, writes)
      return
  }
}

// ---------------------------------------------------------------- stacks and services

function deployStack(world: World, spec: StackSpec, prune: boolean, at: Instant, writes: Write[]): void {
  const deployment = (world.stacks.get(spec.name)?.deployment ?? 0) + 1
  const stack = { name: spec.name, deployedAt: at, deployment }
  world.stacks.set(stack.name, stack)
  writes.push(putStack(stack))
  const before = taskHashes(world, stack.name)
  // Dependencies first: what is restarted with them holds the hash of what they are now.
  for (const [shortName, serviceSpec] of specsInOrder(spec.services)) {
    const service = world.services.get(fullServiceName(stack.name, shortName))
    if (service) updateService(world, service, serviceSpec, at, writes)
    else createService(world, stack.name, shortName, serviceSpec, at, writes)
  }
  for (const service of world.services.values()) {
    const isNamed = Object.hasOwn(spec.services, service.shortName)
    if (prune && service.stack === stack.name && !isNamed) removeService(world, service, writes)
  }
  restartDependents(world, stack.name, before, at, writes)
}

function createService(
  world: World,
  stack: string,
  shortName: string,
  spec: ServiceSpec,
  at: Instant,
  writes: Write[],
): void {
  const version: ServiceVersion = { version: 1, spec, ...hashesOf(world, stack, spec), createdAt: at }
  const service: Service = {
    name: fullServiceName(stack, shortName),
    stack,
    shortName,
    createdAt: at,
    version: 1,
    versions: new Map([[1, version]]),
    removing: false,
    rollout: { state: 'rolling', version: 1, from: null, startedAt: at, failures: [] },
    release: firstRelease(1, spec),
    homes: new Map(),
  }
  world.services.set(service.name, service)
  indexService(world, service)
  writes.push(putVersion(service.name, version), putService(service))
}

/** A deployment of the same spec changes nothing, but for giving what stopped half-way or failed another try. */
function updateService(world: World, service: Service, spec: ServiceSpec, at: Instant, writes: Write[]): void {
  const wanted = wantedVersionOf(service)
  const isSame = canonicalJson(wanted.spec) === canonicalJson(spec)
  const isSameTask = canonicalJson(wanted.spec.task) === canonicalJson(spec.task)
  const isPaused = service.rollout.state === 'paused'
  if (isSame && !service.removing && !isPaused && !hasFailedTask(world, service)) return
  addVersion(world, service, spec, isSameTask ? wanted : hashesOf(world, service.stack, spec), at, writes)
  if (service.rollout.state === 'paused') {
    const { version, from } = service.rollout
    service.rollout = { state: 'rolling', version, from, startedAt: at, failures: [] }
    saveService(world, service, writes)
  }
}

function scaleService(world: World, name: ServiceName, replicas: number, at: Instant, writes: Write[]): void {
  const service = world.services.get(name)
  const wanted = service && wantedVersionOf(service)
  if (!service || wanted?.spec.mode.kind !== 'replicated') return
  const { spec } = wanted
  if (wanted.spec.mode.replicas === replicas && !hasFailedTask(world, service)) return
  addVersion(world, service, { ...spec, mode: { kind: 'replicated', replicas } }, wanted, at, writes)
}

function rollbackService(world: World, name: ServiceName, at: Instant, writes: Write[]): void {
  const service = world.services.get(name)
  const target = service && rollbackVersionOf(service)
  if (!service || !target) return
  const before = taskHashes(world, service.stack)
  const failed = service.version
  service.version = target.version
  service.rollout = {
    state: 'rolling-back',
    version: target.version,
    failed,
    startedAt: at,
    why: 'asked for by an operator',
    failures: [],
  }
  // What ran before may run again without waiting: a rollback is a way out of trouble.
  service.release = { version: target.version, state: 'released' }
  saveService(world, service, writes)
  restartDependents(world, service.stack, before, at, writes)
}

function removeService(world: World, service: Service, writes: Write[]): void {
  if (service.removing) return
  service.removing = true
  saveService(world, service, writes)
}

function hasFailedTask(world: World, service: Service): boolean {
  for (const task of world.tasksByService.get(service.name) ?? []) {
    if (task.desired === 'running' && task.observed.state === 'failed') return true
  }
  return false
}

// ---------------------------------------------------------------- nodes

function taintsAfter(taints: Taint[], { set, remove }: Extract<Change, { kind: 'taint-node' }>): Taint[] {
  const isReplaced = ({ key, effect }: Taint) => set.some((taint) => taint.key === key && taint.effect === effect)
  const isRemoved = ({ key, effect }: Taint) =>
    remove.some((taint) => taint.key === key && (taint.effect ?? effect) === effect)
  return [...taints.filter((taint) => !isReplaced(taint) && !isRemoved(taint)), ...set]
}

/** Its tasks are forgotten by the loop, which replaces them; data in its volumes is gone for good, so homes end here. */
function removeNode(world: World, name: string, writes: Write[]): void {
  if (!world.nodes.delete(name)) return
  writes.push(...deleteNode(name))
  for (const service of world.services.values()) {
    const slots = [...service.homes].filter(([, home]) => home === name).map(([slot]) => slot)
    if (slots.length === 0) continue
    for (const slot of slots) service.homes.delete(slot)
    writes.push(putService(service))
  }
}
