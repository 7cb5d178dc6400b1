/**
 * Events mark, the beat works: what is worth a look at the next beat. Ten events about one service cost one look, and
 * their order stops mattering. Too many marks cost time, too few would lose something, so in doubt a value marks more.
 */
import { hasEnded } from '../../shared/task-state.ts'
import type { Change, Decision, NodeName, Observation, ServiceName, TaskId, World, WorldValue } from '../world.ts'
import { needsNeighbour } from './preempt/preempt.ts'

export type Marks = {
  /** Everything, e.g. after a start. */
  all: boolean
  services: Set<ServiceName>
  /** Their room, labels or readiness changed: tasks there, global services and whoever waits for room are looked at. */
  nodes: Set<NodeName>
  /** Whoever waits for room is looked at. */
  waiting: boolean
}

export function newMarks(): Marks {
  return { all: false, services: new Set(), nodes: new Set(), waiting: false }
}

export function isMarked(marks: Marks): boolean {
  return marks.all || marks.waiting || marks.services.size > 0 || marks.nodes.size > 0
}

/** Adds `more` to `marks`. */
export function addMarks(marks: Marks, more: Marks): void {
  marks.all ||= more.all
  marks.waiting ||= more.waiting
  for (const service of more.services) marks.services.add(service)
  for (const node of more.nodes) marks.nodes.add(node)
}

/** What `value` makes worth a look. Called BEFORE it is applied, while what it takes away can still be asked for. */
export function marksOf(world: World, value: WorldValue): Marks {
  if ('observation' in value && isQuiet(world, value.observation)) return NO_MARKS
  const marks = newMarks()
  if ('change' in value) markChange(world, value.change, marks)
  else if ('observation' in value) markObservation(world, value.observation, marks)
  else markDecision(world, value.decision, marks)
  return marks
}

/** Almost all values of a large fleet: nothing is built for them. */
function isQuiet(world: World, { kind, node }: Observation): boolean {
  return kind === 'heartbeat' && world.nodes.get(node)?.status.name === 'ready'
}

/** Of nobody's to write to: `addMarks` only reads what it adds. */
const NO_MARKS: Marks = newMarks()

function markChange(world: World, change: Change, marks: Marks): void {
  switch (change.kind) {
    case 'deploy-stack':
      for (const shortName of Object.keys(change.spec.services)) marks.services.add(`${change.spec.name}_${shortName}`)
      markStack(world, change.spec.name, marks)
      // Its priority, or how many of its tasks it can spare, may be another now.
      markWaiting(world, marks)
      return
    case 'remove-stack':
      markStack(world, change.stack, marks)
      return
    case 'scale-service':
      marks.services.add(change.service)
      return
    case 'rollback-service':
      marks.services.add(change.service)
      markWaiting(world, marks)
      return
    case 'rebalance':
      for (const { task } of change.moves) markTask(world, task, marks)
      return
    case 'undo-rebalance':
      for (const { service } of world.rebalances.flatMap(({ moves }) => moves)) marks.services.add(service)
      return
    case 'set-availability':
    case 'label-node':
    case 'taint-node':
    case 'set-node':
    case 'join-node':
      marks.nodes.add(change.node)
      return
    case 'remove-node':
      marks.nodes.add(change.node)
      return
    case 'set-cluster':
      // A policy or a rule for all: whoever waits may have a place now.
      marks.all = true
      return
  }
}

function markStack(world: World, stack: string, marks: Marks): void {
  for (const service of world.services.values()) {
    if (service.stack === stack) marks.services.add(service.name)
  }
}

function markObservation(world: World, observation: Observation, marks: Marks): void {
  const node = world.nodes.get(observation.node)
  if (!node) return
  switch (observation.kind) {
    case 'connected':
    case 'disconnected':
    case 'inventory':
      marks.nodes.add(node.name)
      return
    case 'tasks': {
      // Readiness may hang on a first complete observation, or on the Engine.
      if (observation.full || node.engine?.state !== observation.engine.state) marks.nodes.add(node.name)
      for (const seen of observation.tasks) {
        markTask(world, seen.task, marks)
        const task = world.tasks.get(seen.task)
        // What ends leaves its room, and what begins anew takes it again.
        if (hasEnded(seen.state) || (task && hasEnded(task.observed.state))) marks.nodes.add(node.name)
        // It may be up again, and its service have one to spare.
        if (task?.preempted) markWaiting(world, marks)
      }
      for (const id of observation.gone) markTask(world, id, marks)
      return
    }
    case 'heartbeat':
      if (node.status.name !== 'ready') marks.nodes.add(node.name)
      return
    case 'notice':
      return
  }
}

/** The loop's own decisions: what they free or begin may let something else go on. */
function markDecision(world: World, decision: Decision, marks: Marks): void {
  switch (decision.kind) {
    case 'set-node-status':
      marks.nodes.add(decision.node)
      return
    case 'forget-task': {
      const task = world.tasks.get(decision.task)
      if (task?.node) marks.nodes.add(task.node)
      // What was held for it, or what its service could not spare, is free.
      else if (task?.nomination || task?.preempted) markWaiting(world, marks)
      markTask(world, decision.task, marks)
      return
    }
    case 'stop-task': {
      // Its room will be free: a task that waits may be promised it.
      if (world.tasks.get(decision.task)?.node) markWaiting(world, marks)
      // What is told to stop counts no more, in how many of a rollout have failed for one; who was preempted is queued again.
      markTask(world, decision.task, marks)
      return
    }
    case 'place-task': {
      const nomination = world.tasks.get(decision.task)?.nomination
      if (nomination && nomination.node !== decision.node) markWaiting(world, marks)
      return
    }
    case 'nominate-task': {
      const before = world.tasks.get(decision.task)?.nomination
      if (before && before.node !== decision.nomination?.node) markWaiting(world, marks)
      // What others leave may be enough by the end of this beat: it is looked at once more.
      markTask(world, decision.task, marks)
      return
    }
    case 'set-rollout':
      marks.services.add(decision.service)
      markWaiting(world, marks)
      return
    case 'set-release':
    case 'forget-service':
      marks.services.add(decision.service)
      return
    case 'hold-task': {
      // A neighbour may have come while its room was promised to one of lower priority: that gives way.
      const task = world.tasks.get(decision.task)
      const version = task && world.services.get(task.service)?.versions.get(task.version)
      if (version && needsNeighbour({ version })) markWaiting(world, marks)
      return
    }
    case 'move-task':
      markTask(world, decision.task, marks)
      return
    case 'begin-rebalance':
      for (const { task } of decision.moves) markTask(world, task, marks)
      return
    case 'set-rebalance':
    case 'look-for-rebalance':
    case 'create-task':
    case 'tell-wait':
    case 'forget-version':
    case 'forget-stack':
      return
  }
}

function markWaiting(world: World, marks: Marks): void {
  if (world.tasksWaiting.size > 0) marks.waiting = true
}

function markTask(world: World, id: TaskId, marks: Marks): void {
  const task = world.tasks.get(id)
  if (task) marks.services.add(task.service)
}
