/**
 * Events mark, the beat works: what is worth a look at the next beat. Ten events about one service cost one look, and
 * their order stops mattering. Too many marks cost time, too few would lose something, so in doubt a value marks more.
 */
import { sameData } from '../../shared/same-data.ts'
import { compareProgress, hasEnded, isRemovalOfEnded } from '../../shared/task-state.ts'
import type { EngineInfo, Hello, TaskObservation } from '../../shared/wire/up.ts'
import type {
  Change,
  Decision,
  Node,
  NodeName,
  NodeStatus,
  Observation,
  ServiceName,
  Task,
  TaskId,
  World,
  WorldValue,
} from '../world.ts'
import { needsNeighbour } from './preempt/preempt.ts'

type Seen<Kind extends Observation['kind']> = Extract<Observation, { kind: Kind }>

export type Marks = {
  /** Everything, e.g. after a start. */
  all: boolean
  services: Set<ServiceName>
  /** Drained, lost, back, gone, or changed by an operator: all services with tasks there are looked at, and those that `room` concerns. */
  nodes: Set<NodeName>
  /** Somewhere there is more room, or less: global services and whoever waits for a node are looked at. */
  room: boolean
  /** Whoever waits for room is looked at. */
  waiting: boolean
}

export function newMarks(): Marks {
  return { all: false, services: new Set(), nodes: new Set(), room: false, waiting: false }
}

export function isMarked(marks: Marks): boolean {
  return marks.all || marks.room || marks.waiting || marks.services.size > 0 || marks.nodes.size > 0
}

/** Where a node's tasks stand hangs on whether it is lost; everything else only on what may go there. */
export function movesTasks(before: NodeStatus, after: NodeStatus): boolean {
  return before.name === 'lost' || after.name === 'lost'
}

/** Adds `more` to `marks`. */
export function addMarks(marks: Marks, more: Marks): void {
  marks.all ||= more.all
  marks.room ||= more.room
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
  return QUIET.has(kind) && world.nodes.get(node)?.status.name === 'ready'
}

const QUIET: ReadonlySet<Observation['kind']> = new Set(['heartbeat', 'sign-of-life', 'heartbeat-interval'])

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
    case 'rollback-service': {
      // With it go those of its stack that are restarted with it.
      const stack = world.services.get(change.service)?.stack
      if (stack !== undefined) markStack(world, stack, marks)
      markWaiting(world, marks)
      return
    }
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
      // Until it is heard again after a start it takes no task, and nobody is stopped for want of the room that it may have.
      if (!node.connection) markWaiting(world, marks)
      if (isOther(node, observation.hello)) marks.nodes.add(node.name)
      marks.room = node.status.name !== 'ready'
      return
    case 'disconnected':
      marks.room = true
      return
    case 'inventory':
      marks.nodes.add(node.name)
      return
    case 'tasks':
      markTasks(world, node, observation, marks)
      return
    case 'heartbeat':
    case 'sign-of-life':
    case 'heartbeat-interval':
      marks.room = node.status.name !== 'ready'
      return
    case 'notice':
      return
  }
}

/** A host that came back otherwise than it was: other labels, another size, an Engine that is gone or there again. */
function isOther(node: Node, { engine, labels, inventory }: Hello): boolean {
  return isOtherEngine(node, engine) || !sameData(node.agentLabels, labels) || !sameData(node.inventory, inventory)
}

function isOtherEngine({ engine }: Node, now: EngineInfo): boolean {
  return (engine?.state === 'down') !== (now.state === 'down')
}

/** Only what is news: every connection begins with everything, and after a start of the coordinator all of them do at once. */
function markTasks(world: World, node: Node, observation: Seen<'tasks'>, marks: Marks): void {
  const { full, engine, tasks, gone } = observation
  const isDown = engine.state === 'down'
  // Readiness may hang on a first complete observation, or on the Engine.
  marks.room = isOtherEngine(node, engine) || (full && (isDown || node.status.name !== 'ready'))
  const named = new Set<TaskId>(gone)
  for (const seen of tasks) {
    if (full) named.add(seen.task)
    const task = world.tasks.get(seen.task)
    if (task && task.node === node.name && isNews(task, seen, full && !isDown)) markNews(world, task, seen, marks)
  }
  for (const id of gone) markTask(world, id, marks)
  if (!full) return
  for (const task of world.tasksByNode.get(node.name) ?? []) {
    if (!named.has(task.id)) markTask(world, task.id, marks)
  }
}

function markNews(world: World, task: Task, seen: TaskObservation, marks: Marks): void {
  marks.services.add(task.service)
  // What ends leaves its room, which may be all that a neighbour's move or a task that waits lacked.
  marks.room ||= hasEnded(seen.state)
  // What begins anew takes its room again: another one that came back to this node may have none now.
  if (hasEnded(task.observed.state) && task.node !== null) marks.nodes.add(task.node)
  // It may be up again, and its service have one to spare.
  if (task.preempted) markWaiting(world, marks)
}

/** Whether the store will take it (store/apply-observation.ts), and it tells more than when the same was seen. */
function isNews({ desired, observed }: Task, seen: TaskObservation, isWhole: boolean): boolean {
  if (seen.state === 'stopped' && desired === 'stopped') return observed.state !== 'stopped'
  if (isRemovalOfEnded(observed.state, seen.state)) return false
  const progress = compareProgress(seen, observed)
  if (progress < 0) return isWhole
  return progress > 0 || (seen.health ?? 'none') !== observed.health
}

/** The loop's own decisions: what they free or begin may let something else go on. */
function markDecision(world: World, decision: Decision, marks: Marks): void {
  switch (decision.kind) {
    case 'set-node-status': {
      const before = world.nodes.get(decision.node)?.status
      if (before && movesTasks(before, decision.status)) marks.nodes.add(decision.node)
      marks.room = true
      return
    }
    case 'forget-task': {
      const task = world.tasks.get(decision.task)
      if (task?.node) marks.room = true
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
    case 'set-failing':
      marks.services.add(decision.service)
      // A node that is tried again may be what a task waits for.
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
      // What a rebalance moves and finds no room has failed to move.
      if (task && task.slot > 0 && task.onlyNode !== null) markTask(world, task.id, marks)
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

function markWaiting({ tasksWaiting, servicesFailing }: World, marks: Marks): void {
  if (tasksWaiting.size + servicesFailing.size > 0) marks.waiting = true
}

function markTask(world: World, id: TaskId, marks: Marks): void {
  const task = world.tasks.get(id)
  if (task) marks.services.add(task.service)
}
