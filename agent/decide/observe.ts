/** What is told of a task: its container, what is remembered and what is under way → one observation. */
import type { Instant } from '../../shared/clock.ts'
import type { TaskSpec } from '../../shared/spec.ts'
import { compareProgress, type Health, type TaskState } from '../../shared/task-state.ts'
import { WIRE_TEXT_CHARS_MAX, wellFormedBrief } from '../../shared/text.ts'
import type { AssignedTask } from '../../shared/wire/down.ts'
import type { TaskError, TaskObservation } from '../../shared/wire/up.ts'
import type { Container } from './container.ts'
import type { TaskMemory } from './memory.ts'
import { endedForGood, ownContainer, type TaskPicture } from './next-steps.ts'

/** The step that is being carried out for a task. */
export type Activity = 'pulling' | 'starting' | 'stopping' | null

/**
 * Null: nothing of the task is left on this host. `previous` is what was told last: moments that were told stay as they
 * were within one attempt, so that looking again at the same container tells nothing new.
 */
export function observe(
  picture: TaskPicture,
  activity: Activity,
  previous: TaskObservation | null,
  now: Instant,
): TaskObservation | null {
  const { assigned, memory } = picture
  const container = ownContainer(picture)
  if (!assigned && !container) return null
  const observation: TaskObservation = {
    task: picture.task,
    spec: container?.spec ?? assigned?.spec ?? '',
    attempt: Math.max(memory.attempt, container && container.state !== 'created' ? 1 : 0),
    ...phase(assigned, picture.spec, container, memory, activity, now),
  }
  if (memory.interruptions > 0) observation.interruptions = memory.interruptions
  if (memory.failures > 0) observation.failures = memory.failures
  if (container) describe(observation, container)
  const isWanted = assigned?.desired === 'running'
  return keepMoments(isWanted ? observation : neverBack(observation, previous), previous, now)
}

/** A task that waited for its restart, or has ended, and is now to stop: no state of its own on its way out. */
function neverBack(observation: TaskObservation, previous: TaskObservation | null): TaskObservation {
  if (!previous || previous.attempt !== observation.attempt || compareProgress(previous, observation) <= 0)
    return observation
  return { ...observation, state: previous.state }
}

type Phase = Pick<TaskObservation, 'state' | 'since' | 'error' | 'restartAt'>

function phase(
  assigned: AssignedTask | null,
  spec: TaskSpec | null,
  container: Container | null,
  memory: TaskMemory,
  activity: Activity,
  now: Instant,
): Phase {
  if (activity === 'stopping') return { state: 'stopping', since: now }
  if (!assigned || !spec || assigned.desired === 'stopped') return leaving(container, now)
  const error = memory.error ?? undefined
  if (activity) return { state: activity, since: now, error }
  if (container?.state === 'running') return { state: 'running', since: container.startedAt ?? now }
  const isOver = endedForGood(container, spec, memory)
  if (container?.state === 'unreadable') {
    // It was made, and that is all that can be said; a word of it running that was told before still counts.
    if (!isOver) return { state: 'starting', since: now }
  } else if (container && container.spec !== assigned.spec) return leaving(container, now)
  const since = container?.finishedAt ?? memory.failedAt ?? now
  if (isOver) {
    const exitCode = container?.exitCode ?? memory.endedWith
    return { state: !error && exitCode === 0 ? 'completed' : 'failed', since, error }
  }
  if (memory.begun) return { state: underWay(container, memory), since: now, error }
  // Ended, failed to start, or its container was removed by another hand.
  if (memory.attempt > 0) return { state: 'restarting', since, error, restartAt: memory.restartAt ?? undefined }
  return { state: 'assigned', since: now }
}

/** Between two steps of one attempt: as far as it has come. */
function underWay(container: Container | null, memory: TaskMemory): TaskState {
  if (container) return 'starting'
  return memory.image === 'ready' ? 'pulling' : 'assigned'
}

function leaving(container: Container | null, now: Instant): Phase {
  if (!container) return { state: 'stopped', since: now }
  if (container.state === 'running') return { state: 'running', since: container.startedAt ?? now }
  return { state: 'stopping', since: container.finishedAt ?? now }
}

function describe(observation: TaskObservation, container: Container): void {
  observation.containerId = container.id
  if (container.imageId) observation.imageId = container.imageId
  if (container.state === 'running') {
    observation.health = container.health
    if (container.health === 'healthy' && container.healthyAt !== null) observation.healthSince = container.healthyAt
    if (container.healthMessage)
      observation.healthMessage = wellFormedBrief(container.healthMessage, WIRE_TEXT_CHARS_MAX)
    if (container.ports.length > 0) observation.ports = container.ports
  } else if (container.state === 'exited') {
    if (container.exitCode !== null) observation.exitCode = container.exitCode
    if (container.oomKilled) observation.oomKilled = true
  }
}

/** `since` belongs to the state, `healthSince` to the health; for `healthy` the first time in the attempt counts. */
function keepMoments(observation: TaskObservation, previous: TaskObservation | null, now: Instant): TaskObservation {
  const sameAttempt = previous?.attempt === observation.attempt
  if (previous && sameAttempt && previous.state === observation.state) observation.since = previous.since
  const health: Health | undefined = observation.health
  if (!health || health === 'none') return observation
  if (previous && sameAttempt && previous.health === health && previous.healthSince !== undefined) {
    observation.healthSince = previous.healthSince
  } else {
    observation.healthSince ??= now
  }
  return observation
}

/** Whether telling `next` after `previous` would tell anything. */
export function sameObservation(previous: TaskObservation | null, next: TaskObservation): boolean {
  return previous !== null && JSON.stringify(previous) === JSON.stringify(next)
}

/** An error as observations carry it, cut to what fits. */
export function taskError(code: string, message: string): TaskError {
  return { code, message: wellFormedBrief(message, WIRE_TEXT_CHARS_MAX) }
}
