/** What the loop decided, written into the World. */
import type { Instant } from '../../shared/clock.ts'
import { hasNamedVolume } from '../decide/service-facts.ts'
import type { Decision, NodeName, Observed, Service, Task, World } from '../world.ts'
import { beginRebalance, setRebalance } from './apply-rebalance.ts'
import { indexService, indexTask, unindexService, unindexTask } from './indexes.ts'
import {
  deleteService,
  deleteStack,
  deleteTask,
  deleteVersion,
  putAssignmentRevision,
  putNode,
  putService,
  putTask,
  putVersion,
} from './records.ts'
import type { Write } from './store.ts'

type Decided<Kind extends Decision['kind']> = Extract<Decision, { kind: Kind }>

export function applyDecision(world: World, decision: Decision, at: Instant, writes: Write[]): void {
  switch (decision.kind) {
    case 'set-node-status': {
      const node = world.nodes.get(decision.node)
      if (!node) return
      node.status = decision.status
      writes.push(putNode(node))
      return
    }
    case 'create-task':
      createTask(world, decision, at, writes)
      return
    case 'place-task':
      placeTask(world, decision, at, writes)
      return
    case 'hold-task': {
      const task = world.tasks.get(decision.task)
      if (!task || task.node !== null) return
      task.waitsFor = decision.refusals
      writes.push(putTask(task))
      return
    }
    case 'stop-task':
      stopTask(world, decision, writes)
      return
    case 'nominate-task':
      nominateTask(world, decision, writes)
      return
    case 'tell-wait': {
      const task = world.tasks.get(decision.task)
      if (!task || task.node !== null) return
      task.waitTold = { at, why: decision.why }
      writes.push(putTask(task))
      return
    }
    case 'forget-task':
      forgetTask(world, decision, writes)
      return
    case 'move-task': {
      const task = world.tasks.get(decision.task)
      if (!task) return
      if (decision.to === null) delete task.moveTo
      else task.moveTo = decision.to
      writes.push(putTask(task))
      return
    }
    case 'begin-rebalance':
      beginRebalance(world, { by: 'auto', undoes: null, ...decision }, at, writes)
      return
    case 'set-rebalance':
      setRebalance(world, decision.rebalance, writes)
      return
    case 'look-for-rebalance':
      world.rebalanceLookedAt = at
      return
    case 'set-rollout':
      changeService(world, decision.service, writes, (service) => {
        service.rollout = decision.rollout
        if (service.version === decision.wantedVersion) return
        service.version = decision.wantedVersion
        // A version that ran before may run again without waiting for its dependencies.
        service.release = { version: decision.wantedVersion, state: 'released' }
      })
      return
    case 'set-release':
      changeService(world, decision.service, writes, (service) => {
        service.release = decision.release
      })
      return
    case 'set-failing':
      setFailing(world, decision, writes)
      return
    case 'forget-version': {
      const service = world.services.get(decision.service)
      if (!service?.versions.delete(decision.version)) return
      indexService(world, service)
      writes.push(deleteVersion(decision.service, decision.version))
      return
    }
    case 'forget-service': {
      const service = world.services.get(decision.service)
      if (!service) return
      world.services.delete(service.name)
      world.usageByService.delete(service.name)
      unindexService(world, service)
      writes.push(...deleteService(service))
      return
    }
    case 'forget-stack':
      if (world.stacks.delete(decision.stack)) writes.push(deleteStack(decision.stack))
      return
  }
}

function createTask(world: World, decision: Decided<'create-task'>, at: Instant, writes: Write[]): void {
  const task: Task = {
    id: decision.task,
    service: decision.service,
    slot: decision.slot,
    version: decision.version,
    node: null,
    onlyNode: decision.onlyNode ?? null,
    desired: 'running',
    createdAt: at,
    placedAt: 0,
    firstUpAt: null,
    stopReason: null,
    waitsFor: [],
    ...(decision.preempted && { preempted: decision.preempted }),
    observed: unseen('waiting', at),
  }
  world.nextTaskNumber += 1
  world.tasks.set(task.id, task)
  indexTask(world, task)
  writes.push(putTask(task))
}

function placeTask(world: World, decision: Decided<'place-task'>, at: Instant, writes: Write[]): void {
  const task = world.tasks.get(decision.task)
  const service = task && world.services.get(task.service)
  if (!task || !service || task.node !== null) return
  task.node = decision.node
  task.placedAt = at
  task.reason = decision.why
  task.waitsFor = []
  delete task.nomination
  delete task.waitTold
  task.observed = unseen('assigned', at)
  indexTask(world, task)
  writes.push(putTask(task))
  raiseAssignment(world, task.node, writes)
  settleHome(service, task, writes)
}

/** A slot's first placement with a named volume is where its data will be from now on. */
function settleHome(service: Service, task: Task, writes: Write[]): void {
  const spec = service.versions.get(task.version)?.spec
  if (!spec || spec.mode.kind === 'global' || !hasNamedVolume(spec) || task.node === null) return
  if (service.homes.get(task.slot) === task.node) return
  service.homes.set(task.slot, task.node)
  writes.push(putService(service))
}

function stopTask(world: World, decision: Decided<'stop-task'>, writes: Write[]): void {
  const task = world.tasks.get(decision.task)
  if (!task || task.desired === 'stopped') return
  task.desired = 'stopped'
  task.stopReason = decision.why
  if (decision.preempted) task.preempted = decision.preempted
  indexTask(world, task)
  writes.push(putTask(task))
  raiseAssignment(world, task.node, writes)
}

function nominateTask(world: World, decision: Decided<'nominate-task'>, writes: Write[]): void {
  const task = world.tasks.get(decision.task)
  if (!task || task.node !== null) return
  if (decision.nomination) task.nomination = decision.nomination
  else delete task.nomination
  writes.push(putTask(task))
}

function forgetTask(world: World, decision: Decided<'forget-task'>, writes: Write[]): void {
  const task = world.tasks.get(decision.task)
  if (!task) return
  world.tasks.delete(task.id)
  unindexTask(world, task)
  writes.push(deleteTask(task.id))
  if (task.node !== null) world.nodes.get(task.node)?.containerLoads.delete(task.id)
  raiseAssignment(world, task.node, writes)
}

function setFailing(world: World, decision: Decided<'set-failing'>, writes: Write[]): void {
  const service = world.services.get(decision.service)
  const version = service?.versions.get(decision.version)
  if (!service || !version) return
  const { failing: _, ...rest } = version
  const next = decision.failing ? { ...rest, failing: decision.failing } : rest
  service.versions.set(next.version, next)
  indexService(world, service)
  writes.push(putVersion(service.name, next))
}

function raiseAssignment(world: World, name: NodeName | null, writes: Write[]): void {
  const node = name === null ? undefined : world.nodes.get(name)
  if (!node) return
  node.assignmentRevision += 1
  writes.push(putAssignmentRevision(node))
}

function changeService(world: World, name: string, writes: Write[], change: (service: Service) => void): void {
  const service = world.services.get(name)
  if (!service) return
  change(service)
  indexService(world, service)
  writes.push(putService(service))
}

/** What is known of a task before its agent has spoken of it. */
export function unseen(state: 'waiting' | 'assigned', since: Instant): Observed {
  return {
    attempt: 0,
    state,
    since,
    health: 'none',
    healthSince: since,
    healthMessage: null,
    containerId: null,
    imageId: null,
    exitCode: null,
    oomKilled: false,
    interruptions: 0,
    error: null,
    restartAt: null,
    ports: [],
  }
}
