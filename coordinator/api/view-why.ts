/** `GET /v1/why/NAME`: why a task or service is as it is, from the world and from what happened. */
import type {
  CandidateDocument,
  EventDocument,
  PlacementDocument,
  ReasonDocument,
  WhyDocument,
} from '../../shared/api.ts'
import type { Instant } from '../../shared/clock.ts'
import { BerthError } from '../../shared/errors.ts'
import { hasEnded } from '../../shared/task-state.ts'
import type { EventHistory } from '../core.ts'
import { isFailedByNode, whyItStays, whyNowhereElse } from '../decide/failing.ts'
import { homeVolumeOf, targetVersionOf, wantedVersionOf } from '../decide/service-facts.ts'
import { isPast, isUp } from '../decide/task-facts.ts'
import { reasonAsNow, whyWaiting } from '../questions/why.ts'
import type { EventRecord, PlacementReason, Service, Task, World } from '../world.ts'
import { countTasks, isAway, isCurrent, tasksOf } from './counts.ts'
import { heldBy, whatIsWrong } from './progress.ts'
import { viewCheck, viewSmallest } from './question-words.ts'
import { refusalWords } from './refusal-words.ts'
import { samplingReason } from './view-sampling.ts'
import { findTask, taskName } from './view-task.ts'
import { isoTime, roughDuration } from './words.ts'

const EVENTS_TOLD = 10
const EVENTS_READ = 200
const PLACEMENTS_TOLD = 20
const TASKS_NAMED = 20
const TROUBLES_TOLD = 5

/** @throws BerthError `not-found` when neither the world nor the history knows the name */
export function viewWhy(world: World, events: EventHistory, name: string, now: Instant): WhyDocument {
  const task = findTask(world, name)
  if (task) return whyTask(world, events, task, name, now)
  const service = world.services.get(name)
  if (service) return whyService(world, events, service, now)
  return whyGone(world, events, name, now)
}

// ---------------------------------------------------------------- a task

function whyTask(world: World, events: EventHistory, task: Task, name: string, now: Instant): WhyDocument {
  const service = world.services.get(task.service)
  const placement = task.node === null || isPast(task) ? null : viewPlacement(world, task)
  return {
    name,
    about: 'task',
    service: task.service,
    at: isoTime(now),
    summary: taskSummary(world, task, placement, now),
    counts: null,
    placements: placement ? [placement] : [],
    placed: placement ? 1 : 0,
    waits: viewWaits(world, [task]),
    heldBy: service ? heldBy(service) : [],
    reasons: [
      ...taskReasons(world, task, now),
      ...(service ? [...failingReasons(world, service, now), ...rolloutReasons(world, service, now)] : []),
    ],
    events: latest(events, task.service, (event) => event.task === task.id),
  }
}

function taskSummary(world: World, task: Task, placement: PlacementDocument | null, now: Instant): string {
  const name = taskName(task)
  const { state, since } = task.observed
  if (task.desired === 'stopped') {
    const is = hasEnded(state) || task.node === null ? 'was stopped' : `is being stopped on ${task.node}`
    return `${name} ${is}: ${task.stopReason ?? 'it is no longer wanted'}`
  }
  if (task.node === null) return `${name} waits for a node since ${roughDuration(now - task.createdAt)}`
  const away = isAway(world, task)
    ? `, which is ${world.nodes.get(task.node)?.status.name ?? 'no member any more'}`
    : ''
  const wrong = whatIsWrong(task)
  const is = state === 'running' ? (isUp(task) ? 'runs' : 'runs, not healthy,') : `is ${state}`
  const chosen = placement ? `, chosen by ${placement.policy} among ${nodesText(placement.considered)}` : ''
  return `${name} ${is} on ${task.node}${away} since ${roughDuration(now - since)}${chosen}${wrong ? `; ${wrong}` : ''}`
}

function nodesText(count: number): string {
  return count === 1 ? 'one node' : `${count} nodes`
}

/** What was kept when it was placed; of one that was placed together with too many, how the same choice would look now. */
function viewPlacement(world: World, task: Task): PlacementDocument | null {
  const kept = task.reason
  const reason = kept?.others ? kept : (reasonAsNow(world, task) ?? kept)
  if (!reason || task.node === null) return null
  const placement = viewReason(taskName(task), task.node, task.placedAt, reason)
  return { ...placement, asOf: reason === kept ? 'placement' : 'now' }
}

/** Why a task went where it did, as it was then. */
export function viewReason(task: string, node: string, placedAt: Instant, reason: PlacementReason): PlacementDocument {
  const others = (reason.others ?? []).map((other) => candidate(other.node, other.score))
  const refused = (reason.refused ?? []).map((refusal) => ({
    ...candidate(refusal.node ?? '', {}),
    refusal: refusalWords(refusal),
  }))
  return {
    task,
    node,
    at: isoTime(placedAt),
    policy: reason.policy,
    considered: reason.considered,
    fitting: reason.fitting,
    candidates: [{ ...candidate(node, reason.score), isChosen: true }, ...others, ...refused],
    asOf: 'placement',
  }
}

function candidate(node: string, score: Record<string, number>): CandidateDocument {
  return { node, isChosen: false, refusal: null, score }
}

function taskReasons(world: World, task: Task, now: Instant): ReasonDocument[] {
  const reasons: ReasonDocument[] = []
  const name = taskName(task)
  if (task.desired === 'stopped') {
    reasons.push({ kind: 'stopped', message: task.stopReason ?? 'it is no longer wanted' })
    return reasons
  }
  if (task.node !== null && isAway(world, task)) {
    const status = world.nodes.get(task.node)?.status
    const why = status && 'why' in status ? `: ${status.why}` : ''
    reasons.push({ kind: 'node-away', message: `${task.node} is ${status?.name ?? 'no member any more'}${why}` })
  }
  const trouble = troubleReason(world, task, name, now)
  if (trouble) reasons.push(trouble)
  const stays = staysReason(world, task, now)
  if (stays) reasons.push(stays)
  const home = homeReason(world, task)
  if (home) reasons.push(home)
  const sampling = samplingReason(
    task.node === null ? undefined : world.nodes.get(task.node)?.containerLoads.get(task.id),
  )
  if (sampling) reasons.push(sampling)
  return reasons
}

/** Why it is started again, or not any more. */
function troubleReason(world: World, task: Task, name: string, now: Instant): ReasonDocument | null {
  const wrong = whatIsWrong(task)
  const { state, attempt, restartAt } = task.observed
  const restart = world.services.get(task.service)?.versions.get(task.version)?.spec.task.restart
  const hint = `berth logs ${name}`
  if (state === 'restarting' || state === 'failed') {
    const policy = restart ? `its restart policy is ${restart.condition}` : 'its restart policy says so'
    const limit = restart?.maxAttempts === undefined ? '' : `, at most ${restart.maxAttempts} attempts`
    const next = restartAt === null ? '' : `; attempt ${attempt + 1} begins in ${roughDuration(restartAt - now)}`
    const message =
      state === 'failed'
        ? `${wrong ?? 'it failed'} in attempt ${attempt} and is not started again: ${policy}${limit}`
        : `${wrong ?? 'it ended'} in attempt ${attempt} and is started again: ${policy}${limit}${next}`
    return { kind: state, message, hint }
  }
  if (wrong) return { kind: 'unhealthy', message: wrong, hint }
  if (attempt > 1 && !hasEnded(state)) {
    return {
      kind: 'restarted',
      message: `it was started ${attempt} times; what ended it before is in its events`,
      hint,
    }
  }
  return null
}

/** It fails, and goes to another node, or does not. */
function staysReason(world: World, task: Task, now: Instant): ReasonDocument | null {
  const service = world.services.get(task.service)
  const version = service && targetVersionOf(service)
  if (!service || !version) return null
  if (isFailedByNode(version, task)) {
    return { kind: 'moves', message: `${task.node} keeps failing it: it goes to another node as soon as one takes it` }
  }
  const why = whyItStays({ world, now, statuses: new Map() }, service, task)
  return why === null ? null : { kind: 'stays', message: `it is not tried on another node: ${why}` }
}

/** Nodes that get none of the service's tasks for a while. */
function failingReasons(world: World, service: Service, now: Instant): ReasonDocument[] {
  const nodes = targetVersionOf(service)?.failing?.nodes ?? []
  const stays = whyNowhereElse({ world, now }, service)
  const reasons = nodes.map(({ node, task, failures, why, until }) => ({
    kind: 'node-failing',
    message: `${node} gets none of its tasks for another ${roughDuration(until - now)}: ${task} failed there ${failures} times in a row (${why})`,
    hint: `berth incident ls ${node}`,
  }))
  return stays === null
    ? reasons
    : [...reasons, { kind: 'stays', message: `what fails is not tried on another node: ${stays}` }]
}

/** Its data keeps it where it is. */
function homeReason(world: World, task: Task): ReasonDocument | null {
  const service = world.services.get(task.service)
  const spec = service?.versions.get(task.version)?.spec
  const home = service?.homes.get(task.slot)
  const volume = spec && homeVolumeOf(spec)
  if (!home || !volume) return null
  return { kind: 'home', message: `it goes to ${home} only: its volume ${volume} is there` }
}

// ---------------------------------------------------------------- a service

function whyService(world: World, events: EventHistory, service: Service, now: Instant): WhyDocument {
  const tasks = tasksOf(world, service.name).filter((task) => !isPast(task))
  const counts = countTasks(service, tasks)
  const placed = tasks.filter((task) => task.node !== null && task.desired === 'running').sort(bySlot)
  const kept = placed.filter((task) => task.reason?.others).slice(0, PLACEMENTS_TOLD)
  const troubles = tasks.filter((task) => task.desired === 'running' && whatIsWrong(task) !== null).sort(bySlot)
  return {
    name: service.name,
    about: 'service',
    service: service.name,
    at: isoTime(now),
    summary: serviceSummary(service, tasks, counts.wanted, now),
    counts,
    placements: kept.map((task) => viewPlacement(world, task)).filter((placement) => placement !== null),
    placed: placed.length,
    waits: viewWaits(world, tasks),
    heldBy: heldBy(service),
    reasons: [
      ...rolloutReasons(world, service, now),
      ...failingReasons(world, service, now),
      ...troubles.slice(0, TROUBLES_TOLD).flatMap((task) =>
        taskReasons(world, task, now).map((reason) => ({
          ...reason,
          message: `${taskName(task)}: ${reason.message}`,
        })),
      ),
    ],
    events: latest(events, service.name, () => true),
  }
}

const bySlot = (a: Task, b: Task) => a.slot - b.slot || (a.id < b.id ? -1 : 1)

function serviceSummary(service: Service, tasks: readonly Task[], wanted: number, now: Instant): string {
  const up = tasks.filter((task) => task.desired === 'running' && isUp(task)).length
  if (service.removing) return `${service.name} is being removed, ${tasks.length} tasks are left`
  const has = `${service.name} wants ${wanted}, runs ${up}`
  if (service.release.state === 'held') {
    const names = service.release.waitsFor.map((wait) => wait.service).join(', ')
    return `${has}: it waits for ${names || 'its dependencies'}`
  }
  const waiting = tasks.filter((task) => task.node === null && task.desired === 'running').sort(bySlot)
  const [first] = waiting
  if (!first) return has
  const oldest = Math.min(...waiting.map(({ createdAt }) => createdAt))
  const which = waiting.length === 1 ? `${taskName(first)} waits` : `${waiting.length} tasks wait`
  return `${has}. ${which} since ${roughDuration(now - oldest)}`
}

/** Why a rollout stands still, or what it is at. */
function rolloutReasons(world: World, service: Service, now: Instant): ReasonDocument[] {
  const { rollout, release, name } = service
  if (release.state === 'held') {
    return release.waitsFor.map(({ service: dependency, condition, now: is }) => ({
      kind: 'held',
      message: `version ${release.version} waits for ${dependency} (${condition}): ${is}`,
      hint: `berth why ${dependency}`,
    }))
  }
  switch (rollout.state) {
    case 'settled':
      return []
    case 'paused':
      return [
        {
          kind: 'rollout-paused',
          message: `the rollout of version ${rollout.version} stands still: ${rollout.why}`,
          hint: `berth rollback ${name}, or deploy again`,
        },
      ]
    case 'rolled-back':
      return [{ kind: 'rolled-back', message: `version ${rollout.failed} was given up: ${rollout.why}` }]
    case 'rolling':
    case 'rolling-back':
      return [{ kind: 'rollout', message: rolloutProgress(world, service, now) }]
  }
}

/** What the next step waits for: tasks that are not up yet, or that are watched. */
function rolloutProgress(world: World, service: Service, now: Instant): string {
  const { update, rollback } = wantedVersionOf(service).spec
  const config = service.rollout.state === 'rolling-back' ? rollback : update
  const current = tasksOf(world, service.name).filter((task) => task.desired === 'running' && isCurrent(service, task))
  const notUp = current.filter((task) => !isUp(task)).sort(bySlot)
  const to = `version ${service.rollout.version}, ${current.filter(isUp).length} up`
  const pace = config.parallelism === 0 ? 'all at once' : `${config.parallelism} at a time`
  const [first] = notUp
  if (first) {
    const { state, since } = first.observed
    const more = notUp.length > 1 ? ` and ${notUp.length - 1} more` : ''
    return `goes to ${to}, ${pace}: ${taskName(first)}${more} not up yet (${first.node === null ? 'waits for a node' : `${state} on ${first.node}`} for ${roughDuration(now - since)})`
  }
  return `goes to ${to}, ${pace}; each new task is watched for ${roughDuration(config.monitorMs)}`
}

// ---------------------------------------------------------------- what is gone

/** A task that is forgotten is still in the history. */
function whyGone(world: World, events: EventHistory, name: string, now: Instant): WhyDocument {
  const told = events
    .list({ limit: EVENTS_READ })
    .filter((event) => event.task === name || event.task?.startsWith(`${name}.`))
  const last = told.at(-1)
  if (!last) throw noneNamed(world, name)
  const stopped = told.findLast(({ kind }) => kind === 'task-stopping')
  return {
    name,
    about: 'task',
    service: last.service ?? '',
    at: isoTime(now),
    summary: `${name} is not there any more; the last that happened: ${(stopped ?? last).message}`,
    counts: null,
    placements: [],
    placed: 0,
    waits: [],
    heldBy: [],
    reasons: [{ kind: 'gone', message: (stopped ?? last).message }],
    events: told.slice(-EVENTS_TOLD).map(viewEvent),
  }
}

function noneNamed(world: World, name: string): BerthError {
  const short = [...world.services.values()].find((service) => service.shortName === name)
  const hint = short ? `did you mean ${short.name}?` : '`berth services` and `berth ps --all` list them'
  return new BerthError('service-not-found', `there is no service and no task ${name}; ${hint}`, {
    details: { service: name },
  })
}

// ---------------------------------------------------------------- parts

function viewWaits(world: World, tasks: Iterable<Task>): WhyDocument['waits'] {
  return whyWaiting(world, tasks).map(({ tasks: waiting, of, counts, smallest }) => ({
    tasks: waiting.slice(0, TASKS_NAMED).map(taskName),
    count: waiting.length,
    since: isoTime(Math.min(...waiting.map(({ createdAt }) => createdAt))),
    checks: counts.map((count) => viewCheck(count, of)),
    smallestChanges: smallest.map(viewSmallest),
  }))
}

function latest(events: EventHistory, service: string, concerns: (event: EventRecord) => boolean): EventDocument[] {
  return events.list({ limit: EVENTS_READ, service }).filter(concerns).slice(-EVENTS_TOLD).map(viewEvent)
}

function viewEvent(event: EventRecord): EventDocument {
  return { ...event, at: isoTime(event.at) }
}
