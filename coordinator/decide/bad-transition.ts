/**
 * What an operator will want evidence of: a task that ended badly or became unhealthy, a node that was lost, came back or was
 * drained, a rollout that failed. Called BEFORE the value is applied, like `eventsOf`: only against the world as it was can be told what is news.
 */
import { badTransition, type TaskTrouble } from '../../shared/bad-transition.ts'
import type { Instant } from '../../shared/clock.ts'
import type { TaskObservation } from '../../shared/wire/up.ts'
import type { Change, Decision, NodeName, RolloutFailure, ServiceName, TaskId, World, WorldValue } from '../world.ts'

export type BadTask = { kind: TaskTrouble; at: Instant; task: TaskId; node: NodeName; seen: TaskObservation }
export type BadNode = {
  kind: 'node-lost' | 'node-back' | 'node-drained' | 'engine-down'
  at: Instant
  node: NodeName
  why: string
}
/** `failures`: of its tasks; a rollout that waited too long may have none. */
export type BadRollout = {
  kind: 'rollout-failed'
  at: Instant
  service: ServiceName
  why: string
  failures: RolloutFailure[]
}
export type BadTransition = BadTask | BadNode | BadRollout

export function badTransitions(world: World, value: WorldValue): BadTransition[] {
  if ('change' in value) return asked(world, value.change, value.at)
  if ('decision' in value) return decided(world, value.decision, value.at)
  const { observation, at } = value
  if (observation.kind !== 'tasks') return []
  const found: BadTransition[] = []
  for (const seen of observation.tasks) {
    const task = world.tasks.get(seen.task)
    if (task?.node !== observation.node || task.desired !== 'running') continue
    const kind = badTransition(task.observed, seen)
    if (kind !== null) found.push({ kind, at, task: task.id, node: task.node, seen })
  }
  return found
}

/** A drain is nobody's failure, but where tasks have gone is asked for as after one. */
function asked(world: World, change: Change, at: Instant): BadTransition[] {
  if (change.kind !== 'set-availability' || change.availability !== 'drain') return []
  if (world.nodes.get(change.node)?.availability !== 'active') return []
  return [{ kind: 'node-drained', at, node: change.node, why: 'an operator asked for it' }]
}

function decided(world: World, decision: Decision, at: Instant): BadTransition[] {
  if (decision.kind === 'set-node-status') {
    const { node, status } = decision
    const before = world.nodes.get(node)?.status
    if (before === undefined || before.name === status.name) return []
    if (before.name === 'lost' && status.name === 'ready') {
      const seconds = Math.round(Math.max(0, at - before.since) / 1000)
      return [{ kind: 'node-back', at, node, why: `it was lost for ${seconds} s, ${before.why}` }]
    }
    if (status.name === 'lost') return [{ kind: 'node-lost', at, node, why: status.why }]
    return status.name === 'engine-down' ? [{ kind: 'engine-down', at, node, why: status.why }] : []
  }
  if (decision.kind !== 'set-rollout') return []
  const { service, rollout } = decision
  const before = world.services.get(service)?.rollout
  if (before === undefined || before.state === rollout.state) return []
  const hasFailed =
    rollout.state === 'paused' ||
    rollout.state === 'rolling-back' ||
    (rollout.state === 'rolled-back' && before.state !== 'rolling-back')
  return hasFailed ? [{ kind: 'rollout-failed', at, service, why: rollout.why, failures: rollout.failures }] : []
}
