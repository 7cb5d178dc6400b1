/** What the agent remembers of a task beside what the Engine shows: the counts that the Engine does not keep. */
import type { Instant } from '../../shared/clock.ts'
import type { RestartPolicy } from '../../shared/spec.ts'
import { ENGINE_STOPPED } from '../../shared/task-state.ts'
import type { TaskError } from '../../shared/wire/up.ts'
import { diedYoung, restartDelayMs, wantsRestart } from './back-off.ts'
import type { Container } from './container.ts'
import { type EngineStops, endedWithEngine, NEVER_STOPPED } from './engine-stop.ts'
import { isSick, type Sickness } from './sickness.ts'

export type TaskMemory = {
  /** Of the latest start, or of the one under way; 0 before the first. Never goes back. */
  attempt: number
  /** The attempt is under way: it has neither come to run nor failed. */
  begun: boolean
  /** Ends in a row that came soon after the start, and starts that failed. */
  failures: number
  /** Start of the run whose end is in `failures`, so that an end counts once however often it is seen. */
  countedRun: Instant | null
  /** Attempts cut off by their Engine, host or agent; each of them was or will be followed by another. */
  interruptions: number
  /** Start of the latest such run. */
  interruptedRun: Instant | null
  /** Start of the latest run that was seen, so that a start by another hand is noticed. */
  seenRun: Instant | null
  /** Exit code of the end after which it is not to be started again; kept, so that it stays so when its container is pruned. */
  endedWith: number | null
  /** No attempt before this. */
  restartAt: Instant | null
  /** Why the latest attempt did not come to run; kept while the next is under way, which may be long at `pulling`. */
  error: TaskError | null
  /** When the latest attempt failed. */
  failedAt: Instant | null
  /** Starts in a row that the Engine refused for no reason of ours. */
  startsRefused: number
  /** The latest attempt that was seen healthy; 0: none. */
  soundAttempt: number
  /** An attempt that was found unhealthy; see sickness.ts. */
  sick: Sickness | null
  /** What is known of the image for the attempt that comes next. */
  image: 'unknown' | 'missing' | 'ready'
  /** After a stop or a removal that failed: nothing more of that before this. */
  holdUntil: Instant | null
}

export const NOTHING_REMEMBERED: TaskMemory = {
  attempt: 0,
  begun: false,
  failures: 0,
  countedRun: null,
  interruptions: 0,
  interruptedRun: null,
  seenRun: null,
  endedWith: null,
  restartAt: null,
  error: null,
  failedAt: null,
  startsRefused: 0,
  soundAttempt: 0,
  sick: null,
  image: 'unknown',
  holdUntil: null,
}

/** Code of the error of a task that is started again because it was unhealthy. */
export const UNHEALTHY = 'unhealthy'

/** What is said of a task whose Engine stopped under it. */
const INTERRUPTED: TaskError = { code: ENGINE_STOPPED, message: 'ended because its Engine or its host stopped' }

/**
 * After looking at its container: counts an end not yet counted, and starts made by another hand. Idempotent.
 * `policy` null: its ends do not count, since nobody wants it or it was made from another spec.
 */
export function afterLook(
  memory: TaskMemory,
  container: Container,
  policy: RestartPolicy | null,
  stops: EngineStops = NEVER_STOPPED,
): TaskMemory {
  let next = memory
  if (next.attempt < container.createdForAttempt) {
    // The agent was started anew. A container that never ran is an attempt that was cut off between making and starting.
    next = { ...next, attempt: container.createdForAttempt, begun: container.state === 'created' }
  }
  if (container.startedAt !== null && container.startedAt !== next.seenRun) {
    // While an attempt is under way a new run is its own: its agent was ended before it could write that the start was done.
    const byAnotherHand = !next.begun && next.seenRun !== null && container.startedAt > next.seenRun
    const attempt = Math.max(1, next.attempt + (byAnotherHand ? 1 : 0))
    next = { ...next, seenRun: container.startedAt, attempt, begun: false, sick: byAnotherHand ? null : next.sick }
  }
  if (container.state === 'running' && next.error) next = { ...next, error: null, restartAt: null }
  return policy && container.state === 'exited' ? afterEnd(next, container, policy, stops) : next
}

/** The next attempt begins, unless one is under way (pulling its image, say). */
export function beginAttempt(memory: TaskMemory): TaskMemory {
  if (memory.begun) return memory
  return {
    ...memory,
    attempt: memory.attempt + 1,
    begun: true,
    endedWith: null,
    restartAt: null,
    holdUntil: null,
  }
}

/**
 * Its container is gone, and a word of that may have been told: what comes next is another attempt. One that was cut off before it
 * ran (its agent was killed, its container was broken) is not the task's doing.
 */
export function afterRemoval(memory: TaskMemory): TaskMemory {
  return cutOff(memory)
}

/**
 * It was seen while nobody wanted it, and told to be leaving; now it is wanted after all. What comes next is another attempt, or its
 * running would be an older word than its leaving. Not the task's doing: its agent had lost the assignment that names it.
 */
export function afterLeaving(memory: TaskMemory): TaskMemory {
  return cutOff(memory)
}

function cutOff(memory: TaskMemory): TaskMemory {
  return memory.begun ? { ...memory, begun: false, interruptions: memory.interruptions + 1 } : memory
}

/** Its container runs. `seenRun` is forgotten: the run seen next is the one that this attempt started. */
export function afterStart(memory: TaskMemory): TaskMemory {
  return { ...memory, begun: false, seenRun: null, error: null, sick: null, startsRefused: 0, image: 'unknown' }
}

/** The attempt did not come to run: wait before the next one, longer each time. */
export function afterFailedAttempt(
  memory: TaskMemory,
  error: TaskError,
  policy: RestartPolicy,
  now: Instant,
): TaskMemory {
  const failures = memory.failures + 1
  // A start that is refused at once would be refused again at once: the first retry backs off too.
  const restartAt = now + restartDelayMs(failures + 1, policy)
  const startsRefused = error.code === 'container-refused' ? memory.startsRefused + 1 : memory.startsRefused
  return { ...memory, failures, error, restartAt, failedAt: now, begun: false, startsRefused, image: 'unknown' }
}

function afterEnd(memory: TaskMemory, container: Container, policy: RestartPolicy, stops: EngineStops): TaskMemory {
  if (container.startedAt === null || container.startedAt === memory.countedRun) return memory
  const endedAt = container.finishedAt ?? container.startedAt
  if (endedWithEngine(container, stops)) return afterInterruption(memory, container, policy, endedAt)
  if (isSick(memory)) return afterSickEnd(memory, container, endedAt)
  const failures = diedYoung(endedAt - container.startedAt, policy) ? memory.failures + 1 : 1
  return {
    ...memory,
    failures,
    countedRun: container.startedAt,
    endedWith: wantsRestart(container.exitCode, policy) ? null : (container.exitCode ?? 0),
    restartAt: endedAt + restartDelayMs(failures, policy),
    image: 'unknown',
  }
}

/** It was stopped because it was unhealthy: that has been counted and waited for, whatever its exit code. */
function afterSickEnd(memory: TaskMemory, { startedAt }: Container, endedAt: Instant): TaskMemory {
  const message = memory.sick?.message ? `was unhealthy: ${memory.sick.message}` : 'was unhealthy'
  const error = { code: UNHEALTHY, message }
  return {
    ...memory,
    countedRun: startedAt,
    endedWith: null,
    restartAt: null,
    error,
    failedAt: endedAt,
    image: 'unknown',
  }
}

/** The task is not to blame: no failure, no waiting. One that is never to be restarted has not done its work, and says so. */
function afterInterruption(
  memory: TaskMemory,
  { startedAt, exitCode }: Container,
  policy: RestartPolicy,
  endedAt: Instant,
): TaskMemory {
  return {
    ...memory,
    countedRun: startedAt,
    interruptions: memory.interruptions + 1,
    interruptedRun: startedAt,
    endedWith: policy.condition === 'none' ? (exitCode ?? 0) : null,
    restartAt: null,
    error: INTERRUPTED,
    failedAt: endedAt,
    image: 'unknown',
  }
}
