/**
 * The life of a task. Within one attempt the states have this order and never go back; a restart in place begins the
 * next attempt. `(attempt, state)` therefore only grows, and an observation that is older than what is known is dropped.
 */
export const TASK_STATES = [
  'waiting', // no node yet; the reasons stand beside it
  'assigned', // has a node; the agent has not spoken of it yet
  'pulling',
  'starting', // created, not yet running
  'running',
  'stopping',
  'restarting', // ended; the agent will start the next attempt at `restartAt`
  'completed', // ended with exit code 0 and is not to be restarted
  'failed', // ended otherwise and is not to be restarted
  'stopped', // stopped because it was asked to be; its container is gone
] as const
export type TaskState = (typeof TASK_STATES)[number]

/** Ended for good: the agent will not start this task again. */
export function hasEnded(state: TaskState): boolean {
  return state === 'completed' || state === 'failed' || state === 'stopped'
}

/** Negative when `a` is earlier in the task's life than `b`. */
export function compareProgress(
  a: { attempt: number; state: TaskState },
  b: { attempt: number; state: TaskState },
): number {
  return a.attempt - b.attempt || TASK_STATES.indexOf(a.state) - TASK_STATES.indexOf(b.state)
}

/** What has ended is told to be stopping while its container is removed: it runs no more than before, and its room may be another's by now. */
export function isRemovalOfEnded(before: TaskState, after: TaskState): boolean {
  return hasEnded(before) && after === 'stopping'
}

/** Code of the error of a task whose Engine or host stopped under it: the task is not to blame. */
export const ENGINE_STOPPED = 'engine-stopped'

/** Code of the error of a task whose image is not made for its host: it may do well on a host of another platform. */
export const WRONG_PLATFORM = 'wrong-platform'

export const HEALTH_STATES = ['none', 'starting', 'healthy', 'unhealthy'] as const
/** `none`: the container has no healthcheck; running is all that can be said. */
export type Health = (typeof HEALTH_STATES)[number]
