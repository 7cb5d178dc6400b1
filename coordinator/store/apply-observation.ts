/**
 * What an agent sent, or what its connection told, written into the World. Later words never give way to earlier ones:
 * within a task `(attempt, state)` only grows. The exception is a complete observation: a task that it does not know was lost by
 * its host (a wiped disk) and begins anew, and one that it knows less far was lost count of. Host times are turned into ours by the skew of the hello.
 */
import type { Instant } from '../../shared/clock.ts'
import type { HostLoad } from '../../shared/load.ts'
import { sameData } from '../../shared/same-data.ts'
import { compareProgress, hasEnded, isRemovalOfEnded, WRONG_PLATFORM } from '../../shared/task-state.ts'
import type { EngineInfo, TaskObservation } from '../../shared/wire/up.ts'
import { platformOf } from '../decide/checks/platform.ts'
import { clockJump, clockSkew, TIME_MAX } from '../decide/clock-skew.ts'
import { addLoad } from '../decide/load-history.ts'
import { addUsage, newServiceUsage } from '../decide/service-usage.ts'
import { heardBeat } from '../decide/silence.ts'
import { isUp } from '../decide/task-facts.ts'
import type { Node, Observation, Observed, Task, TaskId, World } from '../world.ts'
import { unseen } from './apply-decision.ts'
import { indexTask } from './indexes.ts'
import { putAssignmentRevision, putNode, putTask, putVersion } from './records.ts'
import type { Write } from './store.ts'

type Seen<Kind extends Observation['kind']> = Extract<Observation, { kind: Kind }>

export function applyObservation(world: World, observation: Observation, at: Instant, writes: Write[]): void {
  const node = world.nodes.get(observation.node)
  if (!node) return
  if (observation.kind === 'connected') {
    connected(node, observation, at, writes)
    return
  }
  // Words of a connection that has been closed since: the next one begins with everything anyway.
  if (!node.connection) return
  if (observation.kind === 'sign-of-life') {
    // Our clock may have been set back since: what was heard in a time to come would hide all silence until then.
    node.heard.lastAt = Math.min(at, Math.max(node.heard.lastAt, observation.seenAt))
    return
  }
  // What it was told is no word of its own.
  if (observation.kind === 'heartbeat-interval') {
    node.connection = { ...node.connection, heartbeatIntervalMs: observation.heartbeatIntervalMs }
    return
  }
  node.heard.lastAt = at
  switch (observation.kind) {
    case 'disconnected':
      disconnected(node, observation, at, writes)
      return
    case 'tasks':
      tasks(world, node, observation, at, writes)
      return
    case 'heartbeat':
      node.heard = heardBeat(node.heard, at)
      node.appliedRevision = observation.revision
      node.load = withDetail(observation.load, node.load)
      addLoad(node.loadHistory, observation.load, node.inventory?.cpuCores ?? 0, at)
      node.clockSkewMs = clockJump(node.clockSkewMs, observation.hostAt, at)?.skewMs ?? node.clockSkewMs
      for (const load of observation.containers) {
        // Of a task that has one it is known that it is here; among a million tasks looking it up costs more than all else.
        const isHere = node.containerLoads.has(load.task) || world.tasks.get(load.task)?.node === node.name
        if (isHere) node.containerLoads.set(load.task, load)
      }
      sampleUsage(world, node, at)
      return
    case 'inventory':
      setInventory(node, { labels: node.agentLabels, inventory: observation.inventory }, writes)
      return
    case 'notice':
      return
  }
}

/** An agent tells the detail now and then; meanwhile it is as it was. */
function withDetail(load: HostLoad, before: HostLoad | null): HostLoad {
  return load.detail === undefined && before?.detail !== undefined ? { ...load, detail: before.detail } : load
}

/** What a service uses changes slowly, and there may be a million containers: a sample now and then is enough. */
const USAGE_EVERY_MS = 15_000
/** Of more it is as much rarer, so that all nodes together sample no more than 3,000 a second. */
const USAGE_TASKS_MAX = 45_000

function sampleUsage(world: World, node: Node, at: Instant): void {
  const everyMs = USAGE_EVERY_MS * Math.max(1, world.tasks.size / USAGE_TASKS_MAX)
  if (at - node.usageSampledAt < everyMs) return
  node.usageSampledAt = at
  for (const load of node.containerLoads.values()) {
    const task = world.tasks.get(load.task)
    // One that is starting up says little of what it will need.
    if (!task || task.firstUpAt === null) continue
    const usage = world.usageByService.get(task.service) ?? newServiceUsage()
    world.usageByService.set(task.service, usage)
    addUsage(usage, load, at)
  }
}

// ---------------------------------------------------------------- connections

function connected(node: Node, { hello, connection }: Seen<'connected'>, at: Instant, writes: Write[]): void {
  node.connection = connection
  node.fullyObserved = false
  node.agentVersion = hello.agentVersion
  node.clockSkewMs = clockSkew(hello.at, at)
  node.appliedRevision = hello.revision
  node.load = null
  node.containerLoads = new Map()
  // What was learnt of the interval stays; the pause between two connections is no interval.
  node.heard = { ...node.heard, lastAt: at, lastBeatAt: at }
  setEngine(node, hello.engine, at)
  // Nobody was heard, and now this one is: its grace begins.
  if (node.status.name === 'disconnected' && node.status.alone) {
    node.status = { name: 'disconnected', since: at, why: node.status.why }
    writes.push(putNode(node))
  }
  setInventory(node, hello, writes)
  // The agent has seen a revision that we have not: our store was restored from an older copy. Ours must be the newer
  // one again, or the agent would refuse every assignment as stale.
  if (hello.revision > node.assignmentRevision) {
    node.assignmentRevision = hello.revision + 1
    writes.push(putAssignmentRevision(node))
  }
}

/** Only the current connection's end counts: a second agent start may have taken its place already. */
function disconnected(
  node: Node,
  { instance, why, goodbye }: Seen<'disconnected'>,
  at: Instant,
  writes: Write[],
): void {
  if (node.connection?.instance !== instance) return
  node.connection = null
  node.fullyObserved = false
  node.load = null
  if (node.status.name === 'lost' || node.status.name === 'joining') return
  // An agent that connects and breaks off again and again has one grace, not a new one each time.
  const before = node.status.name === 'disconnected' ? node.status : null
  // And while nobody was heard that one had not begun.
  const alone = before?.alone === true
  node.status = {
    name: 'disconnected',
    since: before?.since ?? at,
    why,
    ...(goodbye && { goodbye }),
    ...(alone && { alone }),
  }
  writes.push(putNode(node))
}

function setInventory(
  node: Node,
  { labels, inventory }: Pick<Seen<'connected'>['hello'], 'labels' | 'inventory'>,
  writes: Write[],
): void {
  if (sameData(node.agentLabels, labels) && sameData(node.inventory, inventory)) return
  node.agentLabels = labels
  node.inventory = inventory
  writes.push(putNode(node))
}

function setEngine(node: Node, engine: EngineInfo, at: Instant): void {
  if (node.engine?.state !== engine.state) node.engineSince = at
  node.engine = engine
}

// ---------------------------------------------------------------- tasks

function tasks(world: World, node: Node, observation: Seen<'tasks'>, at: Instant, writes: Write[]): void {
  node.appliedRevision = observation.revision
  setEngine(node, observation.engine, at)
  // While its Engine is down an agent knows only what it remembers: what is missing from that is no proof.
  const isWhole = observation.full && observation.engine.state !== 'down'
  const named = new Set<TaskId>()
  for (const seen of observation.tasks) {
    named.add(seen.task)
    const task = world.tasks.get(seen.task)
    if (task?.node !== node.name) continue
    observe(task, node, seen, isWhole, at, writes)
    indexFailing(world, task)
    if (task.observed.error?.code === WRONG_PLATFORM) learnPlatform(world, node, task, writes)
  }
  for (const id of observation.gone) {
    named.add(id)
    const task = world.tasks.get(id)
    if (task?.node !== node.name) continue
    nothingLeft(task, at, writes)
    indexFailing(world, task)
  }
  if (!isWhole) {
    node.fullyObserved ||= observation.full
    return
  }
  node.fullyObserved = true
  for (const { id } of world.tasksByNode.get(node.name) ?? []) {
    const task = named.has(id) ? undefined : world.tasks.get(id)
    if (!task) continue
    nothingLeft(task, at, writes)
    indexFailing(world, task)
  }
}

/** Almost all tasks do not fail: nothing is done for them. */
function indexFailing(world: World, task: Task): void {
  if (task.observed.failures !== undefined || world.tasksFailing.has(task)) indexTask(world, task)
}

function observe(task: Task, node: Node, seen: TaskObservation, isWhole: boolean, at: Instant, writes: Write[]): void {
  const before = task.observed
  if (seen.state === 'stopped' && task.desired === 'stopped') {
    // The last word of a task that was told to stop, though its agent may have been started anew and count from 0 again.
    nothingLeft(task, at, writes)
    return
  }
  if (isRemovalOfEnded(before.state, seen.state)) return
  // An agent that was killed before it could keep an attempt counts it again, and may have forgotten that it had ended for good.
  if (compareProgress(seen, before) < 0 && !isWhole) return
  task.observed = observedFrom(seen, before, node.clockSkewMs, at)
  if (task.firstUpAt === null && isUp(task)) task.firstUpAt = at
  if (hasEnded(task.observed.state)) node.containerLoads.delete(task.id)
  if (isWorthKeeping(before, task.observed)) writes.push(putTask(task))
}

/** Where the spec names no platform, the first host that the image is not made for tells for all of its kind. */
function learnPlatform(world: World, node: Node, task: Task, writes: Write[]): void {
  const service = world.services.get(task.service)
  const version = service?.versions.get(task.version)
  const platform = platformOf(node)
  if (!service || !version || platform === null || version.spec.task.container.platform !== undefined) return
  const { refusedPlatforms = [] } = version
  if (refusedPlatforms.includes(platform)) return
  const learnt = { ...version, refusedPlatforms: [...refusedPlatforms, platform] }
  service.versions.set(version.version, learnt)
  writes.push(putVersion(service.name, learnt))
}

/**
 * Nothing of the task is on the host. One that should stop has stopped. One that has ended for good stays ended, but its agent may not
 * know that any more and count from 0 again: then that is believed. One that should run begins anew, since the agent will start it as if
 * it had never been there.
 */
function nothingLeft(task: Task, at: Instant, writes: Write[]): void {
  const { state, attempt } = task.observed
  if (state === 'stopped' || (attempt === 0 && task.desired === 'running' && (state === 'assigned' || hasEnded(state))))
    return
  if (task.desired === 'stopped') task.observed = { ...task.observed, state: 'stopped', since: at }
  else if (hasEnded(state)) task.observed = { ...task.observed, attempt: 0 }
  else task.observed = unseen('assigned', at)
  writes.push(putTask(task))
}

function observedFrom(seen: TaskObservation, before: Observed, skewMs: number, at: Instant): Observed {
  const past = (theirs: Instant) => ourTime(theirs, skewMs, at)
  const health = seen.health ?? 'none'
  const isSameAttempt = seen.attempt === before.attempt
  const isBack = !hasEnded(seen.state) && (before.returned || hasEnded(before.state))
  return {
    attempt: seen.attempt,
    state: seen.state,
    since: past(seen.since),
    health,
    healthSince: past(seen.healthSince ?? seen.since),
    healthMessage: seen.healthMessage ?? null,
    containerId: seen.containerId ?? (isSameAttempt ? before.containerId : null),
    imageId: seen.imageId ?? (isSameAttempt ? before.imageId : null),
    exitCode: seen.exitCode ?? null,
    oomKilled: seen.oomKilled ?? false,
    interruptions: seen.interruptions ?? 0,
    ...(seen.failures && { failures: seen.failures }),
    ...(isBack && { returned: true }),
    error: seen.error ?? null,
    restartAt: seen.restartAt === undefined ? null : ourTime(seen.restartAt, skewMs, TIME_MAX),
    ports: seen.ports ?? [],
  }
}

/**
 * A host's time in ours. What has been seen lies in the past, whatever the host says: a broken clock or a hostile agent must
 * neither outrun the loop's judgements nor leave a time that no answer of the API could be written with.
 */
function ourTime(theirs: Instant, skewMs: number, latest: Instant): Instant {
  return Math.max(0, Math.min(theirs - skewMs, latest))
}

/** Agents repeat themselves (every connection begins with everything): only what differs in substance is written. */
function isWorthKeeping(before: Observed, after: Observed): boolean {
  return (
    before.attempt !== after.attempt ||
    before.state !== after.state ||
    before.health !== after.health ||
    before.containerId !== after.containerId
  )
}
