/**
 * What the agent does next: assigned tasks, what the Engine shows, what is remembered, and the time → steps.
 *
 * Nothing here acts, and no step leaves anything to choose. A step done twice or late is harmless: the next look asks anew.
 * The Engine's own restart policy stays `no`; one container serves a task through all its restarts, since starting it again
 * is quicker than making another.
 */
import type { Instant } from '../../shared/clock.ts'
import type { TaskSpec } from '../../shared/spec.ts'
import type { AssignedTask } from '../../shared/wire/down.ts'
import { hasGivenUp, restartDelayMaxMs, wantsRestart } from './back-off.ts'
import { belongsTo, type Container, isPassing, type Owner } from './container.ts'
import type { TaskMemory } from './memory.ts'
import { isSick } from './sickness.ts'

export type Step =
  /** Fetches the image that the task's next attempt needs. */
  | { kind: 'pull'; task: string; image: string; platform: string | null }
  /** Makes the container and starts it, back to back. */
  | { kind: 'launch'; task: string; assigned: AssignedTask; spec: TaskSpec }
  /** Starts the container that is there: made before and never run, or ended. */
  | { kind: 'start'; task: string; container: string }
  /** Asks it to end, and kills it after the grace that it was made with. */
  | { kind: 'stop'; task: string; container: string; why: StopReason }
  /** Removes it with its anonymous volumes. */
  | { kind: 'remove'; task: string; container: string; why: StopReason | 'broken' }
  /** Nothing to do before this moment. */
  | { kind: 'wait'; task: string; until: Instant }

export type StopReason = 'asked-to-stop' | 'unhealthy' | 'not-assigned' | 'other-spec' | 'surplus'

/** All that is known of one task id. `assigned` null: containers of it are here, but the coordinator does not want them. */
export type TaskPicture = {
  task: string
  assigned: AssignedTask | null
  spec: TaskSpec | null
  containers: Container[]
  memory: TaskMemory
}

/** How soon to look again at a container that the Engine is removing, or could not describe. */
export const PASSING_LOOK_MS = 1_000
/** After a stop or a removal that failed. */
export const END_RETRY_MS = 2_000

/** No back-off is longer, unless a spec names a longer delay; see isAhead. */
const SICK_WAIT_MAX_MS = 86_400_000

/** A container that has run before and was refused so often in a row is replaced. */
const START_REFUSALS_MAX = 3

/** The next step of each task that has one. Containers of another cluster or node are never part of a step. */
export function nextSteps(tasks: Iterable<TaskPicture>, owner: Owner, now: Instant): Step[] {
  const steps: Step[] = []
  for (const task of tasks) {
    const step = nextStep({ ...task, containers: task.containers.filter((each) => belongsTo(owner, each)) }, now)
    if (step) steps.push(step)
  }
  return steps
}

/** Null: the task is as it should be, or has ended. */
export function nextStep(picture: TaskPicture, now: Instant): Step | null {
  const { task, assigned, spec, memory } = picture
  const container = ownContainer(picture)
  const surplus = picture.containers.find((each) => each !== container)
  if (surplus) return removal(task, surplus, 'surplus', memory, now)
  if (!assigned) return container && removal(task, container, 'not-assigned', memory, now)
  if (assigned.desired === 'stopped') return container && removal(task, container, 'asked-to-stop', memory, now)
  // A wanted task without its spec cannot be judged; what runs is left alone.
  if (!spec) return null
  if (!container) return birth(assigned, spec, memory, now)
  if (container.state === 'broken') return removal(task, container, 'broken', memory, now)
  if (isPassing(container)) return { kind: 'wait', task, until: now + PASSING_LOOK_MS }
  if (container.spec !== assigned.spec) return removal(task, container, 'other-spec', memory, now)
  return life(task, container, spec, memory, now)
}

/** Of several containers of one task the right spec wins, then the one that runs, then the youngest. */
export function ownContainer(picture: Pick<TaskPicture, 'assigned' | 'containers'>): Container | null {
  const rank = (each: Container) => (each.spec === picture.assigned?.spec ? 2 : 0) + (each.state === 'running' ? 1 : 0)
  let best: Container | null = null
  for (const each of picture.containers) {
    if (!best || rank(each) > rank(best) || (rank(each) === rank(best) && isYounger(each, best))) best = each
  }
  return best
}

/** The task has ended and is not to be started again. Only meaningful for one that is wanted running. */
export function endedForGood(container: Container | null, spec: TaskSpec, memory: TaskMemory): boolean {
  if (container?.state === 'running') return false
  if (memory.endedWith !== null || hasGivenUp(memory.failures, spec.restart)) return true
  if (container?.state === 'exited' && memory.sick !== null) return false
  if (container?.state === 'exited' && !wasInterrupted(container, memory)) {
    return !wantsRestart(container.exitCode, spec.restart)
  }
  // Nothing ran that could have ended; a failed attempt is over for good only when nothing is ever to be retried.
  return memory.error !== null && spec.restart.condition === 'none'
}

function wasInterrupted({ startedAt }: Container, { interruptedRun }: TaskMemory): boolean {
  return startedAt !== null && startedAt === interruptedRun
}

/** No container yet: fetch the image if need be, then make one. */
function birth(assigned: AssignedTask, spec: TaskSpec, memory: TaskMemory, now: Instant): Step | null {
  const task = assigned.id
  if (endedForGood(null, spec, memory)) return null
  const until = backsOffUntil(spec, memory, now)
  if (until !== null) return { kind: 'wait', task, until }
  if (mustPull(spec, memory)) {
    return { kind: 'pull', task, image: spec.container.image, platform: spec.container.platform ?? null }
  }
  return { kind: 'launch', task, assigned, spec }
}

/** Whether the image is there need not be asked first: making the container tells, and mostly it is. */
function mustPull(spec: TaskSpec, memory: TaskMemory): boolean {
  if (memory.image === 'ready' || spec.container.pullPolicy === 'never') return false
  return memory.image === 'missing' || spec.container.pullPolicy === 'always'
}

function life(task: string, container: Container, spec: TaskSpec, memory: TaskMemory, now: Instant): Step | null {
  if (container.state === 'running') return whileRunning(task, container, memory, now)
  if (endedForGood(container, spec, memory)) return null
  const until = backsOffUntil(spec, memory, now)
  if (until !== null) return { kind: 'wait', task, until }
  if (cannotBeStarted(container, memory)) return removal(task, container, 'broken', memory, now)
  return { kind: 'start', task, container: container.id }
}

/** One that is unhealthy is stopped after its back-off; then it is started again like one that ended. */
function whileRunning(task: string, container: Container, memory: TaskMemory, now: Instant): Step | null {
  if (!memory.sick || !isSick(memory) || container.health !== 'unhealthy') return null
  const { stopAt } = memory.sick
  if (isAhead(stopAt, now, SICK_WAIT_MAX_MS)) return { kind: 'wait', task, until: stopAt }
  return removal(task, container, 'unhealthy', memory, now)
}

/**
 * An Engine that is killed while it starts a container may refuse that container for ever ("already exists"): another one is
 * made. One that has run before has logs and perhaps data in it, so it is given more tries.
 */
function cannotBeStarted(container: Container, memory: TaskMemory): boolean {
  return memory.startsRefused >= (container.startedAt === null ? 1 : START_REFUSALS_MAX)
}

function backsOffUntil({ restart }: TaskSpec, { restartAt }: TaskMemory, now: Instant): Instant | null {
  return restartAt !== null && isAhead(restartAt, now, restartDelayMaxMs(restart)) ? restartAt : null
}

/** A moment further off than any wait lasts was set by a clock that has been set back since: nobody waits for that. */
function isAhead(until: Instant, now: Instant, waitMaxMs: number): boolean {
  return until > now && until - now <= waitMaxMs
}

function removal(
  task: string,
  container: Container,
  why: StopReason | 'broken',
  memory: TaskMemory,
  now: Instant,
): Step {
  const { holdUntil } = memory
  if (holdUntil !== null && isAhead(holdUntil, now, END_RETRY_MS)) return { kind: 'wait', task, until: holdUntil }
  if (isPassing(container)) return { kind: 'wait', task, until: now + PASSING_LOOK_MS }
  if (container.state === 'running' && why !== 'broken') return { kind: 'stop', task, container: container.id, why }
  return { kind: 'remove', task, container: container.id, why }
}

function isYounger(a: Container, b: Container): boolean {
  return (a.startedAt ?? 0) > (b.startedAt ?? 0) || (a.startedAt === b.startedAt && a.id > b.id)
}

/** One line for logs and tests, e.g. `start shop_api.1.2k 0123456789ab`. */
export function printStep(step: Step): string {
  switch (step.kind) {
    case 'pull':
      return `pull ${step.task} ${step.image}`
    case 'launch':
      return `launch ${step.task}`
    case 'start':
      return `start ${step.task} ${step.container.slice(0, 12)}`
    case 'stop':
    case 'remove':
      return `${step.kind} ${step.task} ${step.container.slice(0, 12)} (${step.why})`
    case 'wait':
      return `wait ${step.task} until ${new Date(step.until).toISOString()}`
  }
}
