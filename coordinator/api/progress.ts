/** The one judgement of whether a stack is up: a picture of the world in, the progress of each service out. */
import type { ProgressDocument, ServiceProgress, ServiceStage, StackOutcome, TaskCounts } from '../../shared/api.ts'
import { homeVolumeOf } from '../decide/service-facts.ts'
import { isRefused, isUp } from '../decide/task-facts.ts'
import type { Kind } from '../store/tally.ts'
import type { Rollout, Service, Task, World } from '../world.ts'
import { countKinds, countTasks, isCurrent, lookAt, tasksOf } from './counts.ts'
import { waitReasons } from './refusal-words.ts'
import { taskName } from './view-task.ts'

const failuresMax = 10

/** Null when there is no such stack and nothing of it is left. */
export function stackProgress(world: World, name: string): ProgressDocument | null {
  const stack = world.stacks.get(name)
  const services = servicesOf(world, name)
  if (!stack && services.length === 0) return null
  const progresses = services.map((service) => serviceProgress(world, service))
  return { stack: name, deployment: stack?.deployment ?? 0, outcome: outcomeOf(progresses), services: progresses }
}

/**
 * A stack is up when every service is up or done. One that failed ends the wait as soon as no other service is still
 * moving; one that merely waits for a node does not hold such an answer back.
 */
export function outcomeOf(services: Pick<ServiceProgress, 'stage'>[]): StackOutcome {
  const staying = services.filter((service) => service.stage !== 'removing')
  if (staying.length === 0 && services.length > 0) return 'going'
  const stages = new Set(staying.map((service) => service.stage))
  if (isWithin(stages, ['up', 'done'])) return 'up'
  const failed = stages.has('failed')
  if (!failed && !stages.has('rolled-back')) return 'going'
  if (!isWithin(stages, ['up', 'done', 'failed', 'rolled-back', 'waiting'])) return 'going'
  return failed ? 'failed' : 'rolled-back'
}

export function serviceProgress(world: World, service: Service): ServiceProgress {
  const tasks = tasksOf(world, service.name)
  const counts = countTasks(service, tasks)
  const wanted = tasks.filter((task) => task.desired === 'running' && isCurrent(service, task))
  const good = wanted.filter(isUp).length
  const stage = serviceStage(world, service, lookAt(tasks).kinds, counts)
  const nodes = new Set(wanted.map((task) => task.node))
  return {
    service: service.name,
    shortName: service.shortName,
    stage,
    version: service.version,
    good: Math.min(good, counts.wanted),
    counts,
    checked: tasks.some((task) => task.observed.health !== 'none'),
    parallelism: service.versions.get(service.version)?.spec.update.parallelism ?? 1,
    heldBy: heldBy(service),
    waits: waitReasons(tasks),
    why: whyOf(world, service, stage),
    failures: failuresOf(world, service, wanted).slice(0, failuresMax),
    node: nodes.size === 1 ? ([...nodes][0] ?? null) : null,
    homeVolume: homeVolumeOfOnly(service, wanted),
  }
}

/** The stage alone: `kinds` of its tasks as they count, and what they come to. */
export function serviceStage(world: World, service: Service, kinds: Kind[], counts: TaskCounts): ServiceStage {
  const wanted = kinds.filter(({ like }) => like.desired === 'running' && isCurrent(service, like))
  return stageOf(world, service, wanted, counts)
}

function sumOf(kinds: Kind[], counts: (task: Task) => boolean): number {
  return kinds.reduce((sum, { like, count }) => (counts(like) ? sum + count : sum), 0)
}

function homeVolumeOfOnly(service: Service, wanted: Task[]): string | null {
  const [task, second] = wanted
  const spec = service.versions.get(service.version)?.spec
  if (!task || second || !spec || service.homes.get(task.slot) !== task.node) return null
  return homeVolumeOf(spec)
}

export function servicesOf(world: World, stack: string): Service[] {
  return [...world.services.values()].filter((service) => service.stack === stack)
}

/** The services that a released version no longer waits for are none. */
export function heldBy(service: Service) {
  return service.release.state === 'held' ? service.release.waitsFor : []
}

function stageOf(world: World, service: Service, wanted: Kind[], counts: TaskCounts): ServiceStage {
  if (service.removing) return 'removing'
  const rollout = currentRollout(world, service)
  if (rollout === 'rolling-back' || rollout === 'rolled-back') return rollout
  if (rollout === 'paused') return 'failed'
  if (service.release.state === 'held') return failedDependency(world, service) ? 'failed' : 'held'

  const good = sumOf(wanted, isUp)
  const has = (fact: (task: Task) => boolean) => wanted.some(({ like }) => fact(like))
  const all = good >= counts.wanted
  if (all && isOneShot(service) && counts.wanted > 0 && !has((task) => !isCompleted(task))) return 'done'
  if (all && rollout === 'settled') return 'up'
  if (has(hasNoHope) && !has(isMoving) && !willRollBack(service)) return 'failed'
  const withoutNode = sumOf(wanted, (task) => task.node === null && task.waitsFor.length > 0)
  return withoutNode > 0 && good + withoutNode >= counts.wanted ? 'waiting' : 'going'
}

/**
 * The rollout's state as it concerns what is wanted now. A version that the loop has not looked at yet is `rolling`; a
 * rollback that ended before the latest deployment is old news, since that deployment was content with what runs.
 */
function currentRollout(world: World, service: Service): Rollout['state'] {
  const { rollout } = service
  if (rollout.state === 'rolling-back') return rollout.state
  if (rollout.version !== service.version) return 'rolling'
  if (rollout.state !== 'rolled-back') return rollout.state
  const deployedAt = world.stacks.get(service.stack)?.deployedAt ?? 0
  return rollout.finishedAt < deployedAt ? 'settled' : 'rolled-back'
}

const isCompleted = (task: Task) => task.observed.state === 'completed'
const isFailed = (task: Task) => task.observed.state === 'failed' || task.observed.state === 'stopped'
const hasNoHope = (task: Task) => isFailed(task) || isRefused(task)
const isMoving = (task: Task) => !isUp(task) && !hasNoHope(task) && task.node !== null

/** Meant to end: its tasks are not restarted after a success. */
function isOneShot(service: Service): boolean {
  return service.versions.get(service.version)?.spec.task.restart.condition !== 'any'
}

/** The loop answers this failure with a rollback; its word is waited for. */
function willRollBack(service: Service): boolean {
  const { rollout } = service
  if (rollout.state !== 'rolling' || rollout.from === null) return false
  return service.versions.get(rollout.version)?.spec.update.failureAction === 'rollback'
}

/** The first service waited for that cannot come any more. Compose refuses circles, so this ends. */
function failedDependency(world: World, service: Service): string | null {
  for (const wait of heldBy(service)) {
    const dependency = world.services.get(wait.service)
    if (!dependency) continue
    const { kinds } = lookAt(tasksOf(world, dependency.name))
    const stage = serviceStage(world, dependency, kinds, countKinds(dependency, kinds))
    if (stage === 'failed' || stage === 'rolled-back') return wait.service
  }
  return null
}

function whyOf(world: World, service: Service, stage: ServiceStage): string | null {
  const { rollout } = service
  if (stage !== 'failed' && stage !== 'rolled-back' && stage !== 'rolling-back') return null
  if ('why' in rollout && rollout.version === service.version) return rollout.why
  if (rollout.state === 'rolling-back') return rollout.why
  const dependency = service.release.state === 'held' ? failedDependency(world, service) : null
  return dependency ? `waits for ${dependency}, which failed` : null
}

function failuresOf(world: World, service: Service, wanted: Task[]): ServiceProgress['failures'] {
  const failures = new Map<string, ServiceProgress['failures'][number]>()
  const recorded = 'failures' in service.rollout ? service.rollout.failures : []
  for (const { task: id, node, why } of recorded) {
    const task = world.tasks.get(id)
    failures.set(id, { task: id, name: task ? taskName(task) : nameOfGone(id, service.name, node), node, why })
  }
  for (const task of wanted) {
    if (failures.has(task.id)) continue
    const why = whatIsWrong(task)
    if (why) failures.set(task.id, { task: task.id, name: taskName(task), node: task.node, why })
  }
  return [...failures.values()]
}

/** As taskName had it: the id of a task goes on where its name ends. */
function nameOfGone(id: string, service: string, node: string): string {
  const slot = Number.parseInt(id.slice(service.length + 1), 10)
  return slot > 0 ? `${service}.${slot}` : `${service}@${node}`
}

/** In words, from what the agent said; null while nothing is known to be wrong. */
export function whatIsWrong(task: Task): string | null {
  const { state, error, exitCode, oomKilled, health, healthMessage } = task.observed
  if (state === 'failed' || state === 'restarting') {
    if (error) return error.message
    if (exitCode === null) return state === 'failed' ? 'failed' : 'restarting'
    return `exited ${exitCode}${oomKilled ? ' (out of memory)' : ''}`
  }
  if (error && state !== 'running') return error.message
  if (state === 'running' && health === 'unhealthy') return `unhealthy${healthMessage ? `: ${healthMessage}` : ''}`
  return null
}

function isWithin<Value>(values: Set<Value>, allowed: Value[]): boolean {
  return [...values].every((value) => allowed.includes(value))
}
