/** Which tasks may be moved to a better place: those whose move harms nobody. */
import type { Task, World } from '../../world.ts'
import { hasNamedVolume, wantedVersionOf } from '../service-facts.ts'
import { hasCompleted, isUp } from '../task-facts.ts'

/**
 * Null: it may. Else why not, as the end of a sentence. A task that does not work is the rollout's or the agent's affair; one whose
 * data lives on its node stays with it; a global service has one on each node anyway.
 */
export function whyNotMovable(world: World, task: Task): string | null {
  const service = world.services.get(task.service)
  if (!service || service.removing) return 'its service is removed'
  if (service.release.state === 'held' || !isSettled(service.rollout.state))
    return `${service.name} is being rolled out`
  const { spec, taskHash } = wantedVersionOf(service)
  if (spec.mode.kind === 'global') return `${service.name} is global`
  if (hasNamedVolume(spec)) return 'its volume is on its node'
  if (task.desired === 'stopped') return 'it is being stopped'
  if (service.versions.get(task.version)?.taskHash !== taskHash) return `${service.name} has a newer version`
  if (task.node === null || hasCompleted(task) || !isUp(task)) return 'it is not up'
  const node = world.nodes.get(task.node)
  if (node?.status.name !== 'ready') return `${task.node} is not ready`
  // A drain moves it already.
  return node.availability === 'active' ? null : `${task.node} is drained`
}

function isSettled(state: string): boolean {
  return state === 'settled' || state === 'rolled-back'
}
