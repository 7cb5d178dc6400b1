/** What a task's observed state means for those who judge. */
import type { Instant } from '../../shared/clock.ts'
import { ENGINE_STOPPED, hasEnded } from '../../shared/task-state.ts'
import type { Task } from '../world.ts'

/** Does its work: runs, and is healthy where it has a healthcheck; or has completed what it was there for. */
export function isUp(task: Task): boolean {
  const { state, health } = task.observed
  if (state === 'completed') return true
  return state === 'running' && (health === 'none' || health === 'healthy')
}

/** Its agent has taken it up. */
export function hasBegun(task: Task): boolean {
  return task.observed.state !== 'waiting' && task.observed.state !== 'assigned'
}

/** Ended with failure and out of restarts: the agent will not try again. */
export function hasFailed(task: Task): boolean {
  return task.observed.state === 'failed'
}

export function hasCompleted(task: Task): boolean {
  return task.observed.state === 'completed'
}

/** Told to stop, and nothing of it is anywhere any more. */
export function isPast(task: Task): boolean {
  return task.desired === 'stopped' && (hasEnded(task.observed.state) || task.node === null)
}

/** Something of it is worth telling an operator. */
export function isWrong({ observed: { state, health, error } }: Task): boolean {
  if (state === 'running') return health === 'unhealthy'
  return state === 'failed' || state === 'restarting' || error !== null
}

/**
 * Its agent goes on trying, but has heard the same no twice: an image that its registry does not have or a container that
 * the Engine does not take mostly is a mistake in the file, and whoever waits should hear of it now.
 */
export function isRefused({ observed: { state, attempt, error } }: Task): boolean {
  return state === 'restarting' && attempt >= 2 && error !== null && REFUSALS.has(error.code)
}

const REFUSALS: ReadonlySet<string> = new Set(['image-not-found', 'container-refused'])

/** Holds its share of the node: its promised CPU and memory, its host ports. An ended container holds nothing. */
export function holdsRoom(task: Task): boolean {
  return task.node !== null && !hasEnded(task.observed.state)
}

/**
 * Missing because another of higher priority has its room: told to stop for it, or in the place of one that was and not up
 * since. So long it counts against its service's budget.
 */
export function isPreempted(task: Task): boolean {
  if (!task.preempted || hasEnded(task.observed.state) || hasMadeGood(task)) return false
  return task.desired === 'stopped' ? task.node !== null : task.firstUpAt === null
}

/** It took the place of one that was preempted, and has been up: whatever stops it now, that loss is over. */
export function hasMadeGood({ id, preempted, firstUpAt }: Task): boolean {
  return preempted !== undefined && preempted.task !== id && firstUpAt !== null
}

/**
 * When and why a task went wrong in its present attempt (or had to be restarted); null: it did not. Where its Engine or host
 * stopped under it the task is not to blame.
 */
export function troubleOf(task: Task): { at: Instant; why: string } | null {
  const { state, since, exitCode, error, oomKilled, attempt, health, healthSince, healthMessage } = task.observed
  const isInterrupted = state === 'restarting' && error?.code === ENGINE_STOPPED
  if (state === 'failed' || (state === 'restarting' && !isInterrupted)) {
    const cause = error?.message ?? `exited ${exitCode ?? 'without a code'}${oomKilled ? ' (out of memory)' : ''}`
    return { at: since, why: state === 'failed' ? `failed: ${cause}` : cause }
  }
  if (state === 'running' && health === 'unhealthy') {
    return { at: healthSince, why: `unhealthy${healthMessage ? `: ${healthMessage}` : ''}` }
  }
  // Each interruption is followed by another attempt; the latest one's is still to come while the task is restarting.
  const blameless = task.observed.interruptions + (isInterrupted ? 0 : 1)
  if (attempt > blameless && !hasEnded(state)) return { at: since, why: `had to be restarted (attempt ${attempt})` }
  return null
}
