/**
 * Events mark, the beat works: what is worth a look at the next beat. Ten events about one service cost one look, and
 * their order stops mattering. Too many marks cost time, too few would lose something, so in doubt a value marks more.
 */
import { hasEnded } from '../../shared/task-state.ts'
import type { Change, Decision, NodeName, Observation, ServiceName, TaskId, World, WorldValue } from '../world.ts'

export type Marks = {
  /** Everything, e.g. after a start. */
  all: boolean
  services: Set<ServiceName>
  /** Their room, labels or readiness changed: tasks there, global services and whoever waits for room are looked at. */
  nodes: Set<NodeName>
}

export function newMarks(): Marks {
  return { all: false, services: new Set(), nodes: new Set() }
}

export function isMarked(marks: Marks): boolean {
  return marks.all || marks.services.size > 0 || marks.nodes.size > 0
}

/** Adds `more` to `marks`. */
export function addMarks(marks: Marks, more: Marks): void {
  marks.all ||= more.all
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
      return
    case 'remove-stack':
      markStack(world, change.stack, marks)
      return
    case 'scale-service':
    case 'rollback-service':
      marks.services.add(change.service)
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
        if (hasEnded(seen.state)) marks.nodes.add(node.name)
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
      const node = world.tasks.get(decision.task)?.node
      if (node) marks.nodes.add(node)
      markTask(world, decision.task, marks)
      return
    }
    case 'set-rollout':
    case 'set-release':
    case 'forget-service':
      marks.services.add(decision.service)
      return
    case 'move-task':
      markTask(world, decision.task, marks)
      return
    case 'begin-rebalance':
      for (const { task } of decision.moves) markTask(world, task, marks)
      return
    case 'set-rebalance':
    case 'look-for-rebalance':
    case 'create-task':
    case 'place-task':
    case 'hold-task':
    case 'stop-task':
    case 'forget-version':
    case 'forget-stack':
      return
  }
}

function markTask(world: World, id: TaskId, marks: Marks): void {
  const task = world.tasks.get(id)
  if (task) marks.services.add(task.service)
}
