/**
 * A service moving from one version to another: what went wrong so far, what is done about it, how many units may be
 * replaced now, and when it is finished. Everything is read from the tasks, so that a coordinator that starts half-way
 * goes on where the last one stopped.
 */
import type { Instant } from '../../shared/clock.ts'
import { canonicalJson, type UpdateConfig } from '../../shared/spec.ts'
import type { Rollout, RolloutFailure, Service, ServiceVersion, Task } from '../world.ts'
import { type Beat, wakeBy } from './beat.ts'
import { hashOf, wantedVersionOf } from './service-facts.ts'
import { hasCompleted, hasFailed, isUp, troubleOf } from './task-facts.ts'
import { isMisplaced, type Unit } from './units.ts'

/** The rules in force: a rollback has its own. */
export function rolloutConfig(service: Service): UpdateConfig {
  const { spec } = wantedVersionOf(service)
  return service.rollout.state === 'rolling-back' ? spec.rollback : spec.update
}

/** The service with its rollout (and, when it rolls back, its wanted version) as it should be after what its tasks met with. */
export function judgeFailures(beat: Beat, service: Service, tasks: readonly Task[]): Service {
  const { rollout } = service
  if (rollout.state !== 'rolling' && rollout.state !== 'rolling-back') return service
  if (service.release.state === 'held') return service
  const target = wantedVersionOf(service)
  const config = rolloutConfig(service)
  const failures = [...rollout.failures, ...newFailures(beat, service, target, tasks, config)].slice(0, FAILURES_MAX)
  const next = { ...service, ...answerTo(beat, service, { ...rollout, failures }, config, tasks) }
  return decideRollout(beat, service, next)
}

/** More than so many tell nothing new. */
const FAILURES_MAX = 100

function newFailures(
  beat: Beat,
  service: Service,
  target: ServiceVersion,
  tasks: readonly Task[],
  config: UpdateConfig,
): RolloutFailure[] {
  const { rollout } = service
  if (rollout.state !== 'rolling' && rollout.state !== 'rolling-back') return []
  const counted = new Set(rollout.failures.map((failure) => failure.task))
  const failures: RolloutFailure[] = []
  for (const task of tasks) {
    if (counted.has(task.id) || task.desired === 'stopped' || task.createdAt < rollout.startedAt) continue
    if (hashOf(service, task) !== target.taskHash) continue
    const trouble = isMisplaced(beat.world, target, task) ? null : troubleOf(task)
    if (!trouble || (task.firstUpAt !== null && trouble.at - task.firstUpAt > config.monitorMs)) continue
    failures.push({ task: task.id, node: task.node ?? '', at: beat.now, why: trouble.why })
  }
  return failures
}

type Moving = Extract<Rollout, { state: 'rolling' | 'rolling-back' }>

function answerTo(
  beat: Beat,
  service: Service,
  rollout: Moving,
  config: UpdateConfig,
  tasks: readonly Task[],
): { rollout: Rollout; version: number } {
  const asIs = { rollout, version: service.version }
  if (config.failureAction === 'continue') return asIs
  // A first version has nothing to go back to, and its tasks are started all at once: containers that crash until their
  // database is up are in good order. Only one that has failed for good stops the rollout.
  if (rollout.state === 'rolling' && rollout.from === null) {
    const failed = tasks.find(
      (task) =>
        task.desired === 'running' &&
        task.version === service.version &&
        hasFailed(task) &&
        !isMisplaced(beat.world, wantedVersionOf(service), task),
    )
    if (!failed) return asIs
    return { rollout: paused(rollout, troubleOf(failed)?.why ?? 'failed'), version: service.version }
  }
  const recent = rollout.failures.filter((failure) => rollout.state === 'rolling' || failure.at > rollout.startedAt)
  const wanted = Math.max(1, wantedCount(service, tasks))
  const last = recent.at(-1)
  if (!last || recent.length / wanted <= config.maxFailureRatio) return asIs
  const why = `${recent.length} of ${wanted} failed; ${last.task} ${last.node ? `on ${last.node} ` : ''}${last.why}`
  const from = rollout.state === 'rolling' ? rollout.from : null
  const canGoBack = from !== null && service.versions.has(from)
  if (config.failureAction === 'pause' || !canGoBack) return { rollout: paused(rollout, why), version: service.version }
  return {
    version: from,
    rollout: {
      state: 'rolling-back',
      version: from,
      failed: service.version,
      startedAt: beat.now,
      why,
      failures: rollout.failures,
    },
  }
}

function paused(rollout: Moving, why: string): Rollout {
  // A rollback that fails has nothing further to go back to.
  const from = rollout.state === 'rolling' ? rollout.from : null
  return {
    state: 'paused',
    version: rollout.version,
    from,
    startedAt: rollout.startedAt,
    why,
    failures: rollout.failures,
  }
}

function wantedCount(service: Service, tasks: readonly Task[]): number {
  const { mode } = wantedVersionOf(service).spec
  if (mode.kind === 'replicated') return mode.replicas
  return new Set(tasks.filter((task) => task.desired === 'running').map((task) => task.node)).size
}

// ---------------------------------------------------------------- how many at a time

/**
 * How many more units may be replaced now. In flight is a unit whose new task is not up yet, is not proven yet, or was not up
 * for `delayMs` yet; one that has been counted as a failure holds nobody up.
 */
export function replaceAllowance(beat: Beat, service: Service, units: readonly Unit[]): number {
  const { rollout } = service
  if (rollout.state === 'paused' || service.release.state === 'held') return 0
  const { parallelism, delayMs, monitorMs } = rolloutConfig(service)
  const atOnce = parallelism === 0 ? Number.POSITIVE_INFINITY : parallelism
  const failed = failedTasks(rollout)
  let inFlight = 0
  for (const unit of units) if (isInFlight(beat, unit, rollout, failed, { delayMs, monitorMs })) inFlight += 1
  return Math.max(0, atOnce - inFlight)
}

function isInFlight(
  beat: Beat,
  unit: Unit,
  rollout: Rollout,
  failed: Set<string>,
  { delayMs, monitorMs }: Pick<UpdateConfig, 'delayMs' | 'monitorMs'>,
): boolean {
  const keeper = unit.fresh[0]
  // Nothing there at all: made in this beat or as soon as what stops is gone.
  if (!keeper) return unit.stale.length === 0 && (unit.away.length === 0 || unit.stopping.length > 0)
  if (failed.has(keeper.id) || hasFailed(keeper)) return false
  if (!isUp(keeper)) return true
  if (!isOfRollout(keeper, rollout)) return false
  const readyAt = Math.max(provenAtOf(beat, keeper, monitorMs), upForAt(beat, keeper, delayMs))
  if (readyAt <= beat.now) return false
  wakeBy(beat, readyAt)
  return true
}

/**
 * Whether a new task may take the place of the one before it: it is up and, where it belongs to a rollout, proven. A version
 * that crashes in its first second thus costs a start-first rollout no working task.
 */
export function mayReplace(beat: Beat, service: Service, task: Task): boolean {
  if (!isUp(task)) return false
  const { rollout } = service
  if (!isOfRollout(task, rollout)) return true
  const provenAt = provenAtOf(beat, task, rolloutConfig(service).monitorMs)
  if (provenAt <= beat.now) return true
  wakeBy(beat, provenAt)
  return false
}

/**
 * That a container runs says little where no healthcheck looks at it: it is believed once it has run for a second (or `monitor`,
 * when that is shorter). So a version that crashes at once is found out while the first units are replaced, and one that
 * crashes after `s` seconds, within `monitor`, before more than `s + 1` times as many are.
 */
function provenAtOf(beat: Beat, task: Task, monitorMs: number): Instant {
  return hasCompleted(task) ? 0 : ranForAt(beat, task, Math.min(monitorMs, PROVEN_AFTER_MS))
}

const PROVEN_AFTER_MS = 1_000

/** When its present run has lasted for so long; 0: a healthcheck has answered better than any waiting could. */
function ranForAt(beat: Beat, { observed: { health, since } }: Task, watchMs: number): Instant {
  // A host whose clock runs ahead is not waited for.
  return health !== 'none' || since > beat.now + watchMs ? 0 : since + watchMs
}

/**
 * When it will have been up for so long since it was up first; 0: that was in a time to come, so our clock has been set back since. How
 * long ago it was nobody knows then, and a rollout that waited for the clock to catch up would stand for as long as it was set back.
 */
function upForAt({ now }: Beat, { firstUpAt }: Task, forMs: number): Instant {
  if (firstUpAt === null) return now + forMs
  return firstUpAt > now ? 0 : firstUpAt + forMs
}

/** Made by a rollout that replaces another version; a first version's tasks are started all at once. */
function isOfRollout(task: Task, rollout: Rollout): boolean {
  if (rollout.state === 'rolling' && rollout.from === null) return false
  return 'startedAt' in rollout && task.createdAt >= rollout.startedAt
}

function failedTasks(rollout: Rollout): Set<string> {
  return new Set('failures' in rollout ? rollout.failures.map((failure) => failure.task) : [])
}

// ---------------------------------------------------------------- the end

/** The service settled, when each unit has its task, up, and nothing new fell over while it was watched. */
export function judgeFinished(beat: Beat, service: Service, units: readonly Unit[]): Service {
  const { rollout } = service
  if (service.release.state === 'held' || !mayFinish(rollout)) return service
  const { monitorMs, failureAction } = rolloutConfig(service)
  const failed = failureAction === 'continue' ? failedTasks(rollout) : new Set<string>()
  let watchedUntil = 0
  for (const unit of units) {
    const keeper = unit.fresh[0]
    // A global service is not held up by a node that is lost: its task is brought up to date when it returns.
    if (!keeper && unit.onlyNode !== null && unit.away.length > 0) continue
    if (!keeper) return service
    if (failed.has(keeper.id)) continue
    if (!isUp(keeper)) return service
    watchedUntil = Math.max(watchedUntil, watchedUntilOf(beat, keeper, rollout, monitorMs))
  }
  // Once for all of them: a beat at the hour of each of a thousand would come to nothing but the last time.
  if (watchedUntil > beat.now) {
    wakeBy(beat, watchedUntil)
    return service
  }
  const done = { version: service.version, finishedAt: beat.now }
  const next: Rollout =
    rollout.state === 'rolling-back'
      ? { state: 'rolled-back', ...done, failed: rollout.failed, why: rollout.why, failures: rollout.failures }
      : { state: 'settled', ...done }
  return decideRollout(beat, service, { ...service, rollout: next })
}

/** A first version that was paused because a task had failed is settled once all are up after all. */
function mayFinish(rollout: Rollout): rollout is Exclude<Rollout, { state: 'settled' | 'rolled-back' }> {
  if (rollout.state === 'paused') return rollout.from === null
  return rollout.state === 'rolling' || rollout.state === 'rolling-back'
}

/** The keeper counts as good from this moment on. */
function watchedUntilOf(beat: Beat, keeper: Task, rollout: Rollout, monitorMs: number): Instant {
  if (!('startedAt' in rollout) || keeper.createdAt < rollout.startedAt || hasCompleted(keeper)) return 0
  const isReplacement = rollout.state === 'rolling-back' || (rollout.state === 'rolling' && rollout.from !== null)
  return isReplacement ? upForAt(beat, keeper, monitorMs) : firstWatchedUntilOf(beat, keeper, monitorMs)
}

/**
 * A first version has nothing to go back to and is watched only for so long that a container which ends right after its
 * start is not taken for one that works; where there is a healthcheck, that has answered the question. Each restart begins anew.
 */
function firstWatchedUntilOf(beat: Beat, keeper: Task, monitorMs: number): Instant {
  return ranForAt(beat, keeper, Math.min(monitorMs, FIRST_WATCH_MS))
}

const FIRST_WATCH_MS = 2_000

function decideRollout(beat: Beat, before: Service, after: Service): Service {
  const isSame = before.version === after.version && canonicalJson(before.rollout) === canonicalJson(after.rollout)
  if (isSame) return before
  const { rollout, version } = after
  beat.decisions.push({ kind: 'set-rollout', service: after.name, rollout, wantedVersion: version })
  return after
}
