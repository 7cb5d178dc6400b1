/**
 * What a value means in words, for `berth events`. Called BEFORE the value is applied: only against the world as it was
 * can be told what is news (an agent repeats itself on every connection, a task is forgotten with its names).
 */
import type { Instant } from '../../shared/clock.ts'
import { compareProgress } from '../../shared/task-state.ts'
import type { TaskObservation } from '../../shared/wire/up.ts'
import type { Change, Decision, EventRecord, Observation, Rebalance, Task, World, WorldValue } from '../world.ts'
import { clockJump, clockSkew } from './clock-skew.ts'

export type NewEvent = Omit<EventRecord, 'number'>

/** Empty for what is not worth a line: heartbeats, repetitions, bookkeeping. */
export function eventsOf(world: World, value: WorldValue): NewEvent[] {
  if ('change' in value) return changeEvents(world, value.change, value.at)
  if ('decision' in value) return decisionEvents(world, value.decision, value.at)
  return observationEvents(world, value.observation, value.at)
}

type Names = Pick<EventRecord, 'node' | 'service' | 'task'>

function event(at: Instant, level: EventRecord['level'], kind: string, message: string, names: Names = {}): NewEvent {
  return { at, kind, level, message, ...names }
}

// ---------------------------------------------------------------- what users asked for

function changeEvents(world: World, change: Change, at: Instant): NewEvent[] {
  const info = (kind: string, message: string, names: Names = {}) => [event(at, 'info', kind, message, names)]
  switch (change.kind) {
    case 'deploy-stack': {
      const count = Object.keys(change.spec.services).length
      return info('stack-deployed', `stack ${change.spec.name} deployed, ${count} service${count === 1 ? '' : 's'}`)
    }
    case 'remove-stack':
      return info('stack-removing', `stack ${change.stack} is being removed`)
    case 'scale-service': {
      const { service, replicas } = change
      return info('service-scaled', `${service} scaled to ${replicas}`, { service })
    }
    case 'rollback-service':
      return info('rollback-asked', `${change.service} is to go back to the version before`, {
        service: change.service,
      })
    case 'set-availability': {
      const { node, availability } = change
      const said = availability === 'drain' ? 'is being drained' : 'takes tasks again'
      return info(availability === 'drain' ? 'node-drained' : 'node-activated', `${node} ${said}`, { node })
    }
    case 'rebalance':
      return info('rebalance-started', `${change.moves.length} tasks are moved to better places`)
    case 'undo-rebalance':
      return info('rebalance-started', 'the last rebalance is taken back')
    case 'label-node':
      return info('node-labelled', `${change.node}: ${labelsInWords(change)}`, { node: change.node })
    case 'taint-node':
      return info('node-tainted', `${change.node}: ${taintsInWords(change)}`, { node: change.node })
    case 'set-node': {
      const { node, reserve, overcommit } = change
      return info('node-set', `${node}: ${settingsInWords({ reserve, overcommit })}`, { node })
    }
    case 'set-cluster':
      return info('cluster-set', `the cluster: ${settingsInWords(change.settings)}`)
    case 'join-node':
      if (world.nodes.get(change.node)?.keyFingerprint === change.keyFingerprint) return []
      return info('node-joined', `${change.node} joined the cluster`, { node: change.node })
    case 'remove-node':
      return info('node-removed', `${change.node} was removed from the cluster`, { node: change.node })
  }
}

function labelsInWords({ set, remove }: Extract<Change, { kind: 'label-node' }>): string {
  const added = Object.entries(set).map(([label, value]) => `label ${label}=${value}`)
  return [...added, ...remove.map((label) => `label ${label} removed`)].join(', ')
}

function taintsInWords({ set, remove }: Extract<Change, { kind: 'taint-node' }>): string {
  const added = set.map(({ key, value, effect }) => `taint ${key}${value && `=${value}`}:${effect}`)
  return [...added, ...remove.map(({ key, effect }) => `taint ${key}${effect ? `:${effect}` : ''} removed`)].join(', ')
}

/** `overcommit.cpu 1.5, reserve.memoryBytes 1024` */
function settingsInWords(settings: object, prefix = ''): string {
  const words = Object.entries(settings).map(([name, value]) =>
    value !== null && typeof value === 'object' ? settingsInWords(value, `${name}.`) : `${prefix}${name} ${value}`,
  )
  return words.filter((each) => each !== '').join(', ')
}

// ---------------------------------------------------------------- what agents told

function observationEvents(world: World, observation: Observation, at: Instant): NewEvent[] {
  const node = world.nodes.get(observation.node)
  if (!node) return []
  const names = { node: node.name }
  switch (observation.kind) {
    case 'connected': {
      const skewMs = clockSkew(observation.hello.at, at)
      return Math.abs(skewMs) < SKEW_WORTH_A_WORD_MS ? [] : [skewEvent(node.name, skewMs, at)]
    }
    case 'disconnected': {
      if (node.connection?.instance !== observation.instance) return []
      const level = observation.goodbye ? 'info' : 'warning'
      return [event(at, level, 'node-disconnected', `${node.name} disconnected: ${observation.why}`, names)]
    }
    case 'notice': {
      const { code, message } = observation.notice
      return [event(at, 'warning', code, `${node.name}: ${message}`, { ...names, ...ownTask(world, observation) })]
    }
    case 'inventory':
    case 'sign-of-life':
    case 'heartbeat-interval':
      return []
    case 'tasks':
      return observation.tasks.flatMap((seen) => taskEvents(world, node.name, seen, at))
    case 'heartbeat': {
      const jump = clockJump(node.clockSkewMs, observation.hostAt, at)
      return jump === null ? [] : [skewEvent(node.name, jump.skewMs, at)]
    }
  }
}

/** An agent speaks for its own node: what it says of another node's task is not filed under that task. */
function ownTask(world: World, { node, notice }: Extract<Observation, { kind: 'notice' }>): Names {
  const task = notice.task === undefined ? undefined : world.tasks.get(notice.task)
  if (notice.task === undefined || (task && task.node !== node)) return {}
  return { task: notice.task, ...(task && { service: task.service }) }
}

const SKEW_WORTH_A_WORD_MS = 5_000

function skewEvent(node: string, skewMs: number, at: Instant): NewEvent {
  if (Math.abs(skewMs) < SKEW_WORTH_A_WORD_MS)
    return event(at, 'info', 'clock-set', `the clock of ${node} is right again`, { node })
  const seconds = Math.round(Math.abs(skewMs) / 1000)
  const message = `the clock of ${node} differs from the coordinator's by ${seconds} s`
  return event(at, 'warning', 'clock-skew', message, { node })
}

function taskEvents(world: World, node: string, seen: TaskObservation, at: Instant): NewEvent[] {
  const task = world.tasks.get(seen.task)
  if (!task || task.node !== node || compareProgress(seen, task.observed) < 0) return []
  const names = { node, service: task.service, task: task.id }
  const isNews = compareProgress(seen, task.observed) > 0
  if (isNews) {
    const told = stateInWords(task, seen, node)
    return told ? [event(at, told.level, told.kind, told.message, names)] : []
  }
  const health = seen.health ?? 'none'
  if (health === task.observed.health) return []
  if (health === 'healthy') return [event(at, 'info', 'task-healthy', `${task.id} on ${node} is healthy`, names)]
  if (health !== 'unhealthy') return []
  const why = seen.healthMessage ? `: ${seen.healthMessage}` : ''
  return [event(at, 'warning', 'task-unhealthy', `${task.id} on ${node} is unhealthy${why}`, names)]
}

function stateInWords(
  task: Task,
  seen: TaskObservation,
  node: string,
): { level: EventRecord['level']; kind: string; message: string } | null {
  const oom = seen.oomKilled ? ' (out of memory)' : ''
  const cause = seen.error?.message ?? (seen.exitCode === undefined ? 'ended' : `exited ${seen.exitCode}${oom}`)
  switch (seen.state) {
    case 'running':
      return { level: 'info', kind: 'task-running', message: `${task.id} runs on ${node}` }
    case 'restarting':
      return { level: 'warning', kind: 'task-restarting', message: `${task.id} on ${node} ${cause} and is restarted` }
    case 'failed':
      return { level: 'warning', kind: 'task-failed', message: `${task.id} on ${node} failed for good: ${cause}` }
    case 'completed':
      return { level: 'info', kind: 'task-completed', message: `${task.id} on ${node} completed` }
    default:
      return null
  }
}

// ---------------------------------------------------------------- what the loop decided

function decisionEvents(world: World, decision: Decision, at: Instant): NewEvent[] {
  switch (decision.kind) {
    case 'set-node-status':
      return nodeEvents(world, decision, at)
    case 'place-task': {
      const task = world.tasks.get(decision.task)
      if (!task) return []
      const names = { node: decision.node, service: task.service, task: task.id }
      return [event(at, 'info', 'task-placed', `${task.id} goes to ${decision.node}`, names)]
    }
    case 'hold-task': {
      const task = world.tasks.get(decision.task)
      // Once per task: the figures of a refusal change often, that it waits does not.
      if (!task || task.waitsFor.length > 0) return []
      const checks = [...new Set(decision.refusals.map((refusal) => refusal.check))].join(', ')
      const message = `${task.id} waits: no node can take it (${checks})`
      return [event(at, 'warning', 'task-waiting', message, { service: task.service, task: task.id })]
    }
    case 'stop-task': {
      const task = world.tasks.get(decision.task)
      if (!task) return []
      const names = { service: task.service, task: task.id, ...(task.node && { node: task.node }) }
      if (decision.preempted) {
        const message = `${task.id} on ${task.node} is ${decision.why}; it is queued again`
        return [event(at, 'warning', 'task-preempted', message, names)]
      }
      return [event(at, 'info', 'task-stopping', `${task.id} is stopped: ${decision.why}`, names)]
    }
    case 'nominate-task': {
      const task = world.tasks.get(decision.task)
      const { nomination, why } = decision
      // What others leave of themselves is no news; that somebody is stopped, or was in vain, is.
      const victims = (nomination ?? task?.nomination)?.victims.length ?? 0
      if (!task || victims === 0) return []
      const names = { service: task.service, task: task.id, ...(nomination && { node: nomination.node }) }
      return [event(at, 'info', nomination ? 'task-nominated' : 'nomination-ended', why, names)]
    }
    case 'tell-wait': {
      const task = world.tasks.get(decision.task)
      if (!task) return []
      const checks = [...new Set(task.waitsFor.map((refusal) => refusal.check))].join(', ')
      const others = decision.tasks > 1 ? ` and ${decision.tasks - 1} more of ${task.service}` : ''
      const since = `${Math.round((at - task.createdAt) / 60_000)} min`
      const message = `${task.id}${others} wait for room since ${since} (${checks}); ${decision.why}`
      return [event(at, 'warning', 'task-waits-long', message, { service: task.service, task: task.id })]
    }
    case 'move-task':
      return moveEvents(world, decision, at)
    case 'begin-rebalance': {
      const message = `${decision.moves.length} tasks are moved to better places (rebalance.auto)`
      return [event(at, 'info', 'rebalance-started', message)]
    }
    case 'set-rebalance':
      return rebalanceEvents(world, decision.rebalance, at)
    case 'set-rollout':
      return rolloutEvents(world, decision, at)
    case 'set-release':
      return releaseEvents(world, decision, at)
    case 'set-failing':
      return failingEvents(world, decision, at)
    case 'forget-service':
      return [event(at, 'info', 'service-removed', `${decision.service} is gone`, { service: decision.service })]
    case 'forget-stack':
      return [event(at, 'info', 'stack-removed', `stack ${decision.stack} is gone`)]
    case 'look-for-rebalance':
    case 'create-task':
    case 'forget-task':
    case 'forget-version':
      return []
  }
}

function moveEvents(
  world: World,
  { task: id, to, why }: Extract<Decision, { kind: 'move-task' }>,
  at: Instant,
): NewEvent[] {
  const task = world.tasks.get(id)
  if (!task) return []
  const names = { service: task.service, task: id, ...(task.node && { node: task.node }) }
  if (to === null) return [event(at, 'info', 'task-stays', `${id} stays on ${task.node}: ${why}`, names)]
  return [event(at, 'info', 'task-moving', `${id} moves: ${why}`, names)]
}

function failingEvents(
  world: World,
  { service, version, failing }: Extract<Decision, { kind: 'set-failing' }>,
  at: Instant,
): NewEvent[] {
  const before = world.services.get(service)?.versions.get(version)?.failing
  const wasGivenUp = (node: string) => before?.nodes.some((known) => known.node === node) === true
  const isGivenUp = (node: string) => failing?.nodes.some((known) => known.node === node) === true
  const told: NewEvent[] = []
  for (const { node, until, task, failures, why } of failing?.nodes ?? []) {
    if (wasGivenUp(node)) continue
    const minutes = Math.round((until - at) / 60_000)
    const message = `${node} keeps failing ${service}: ${task} failed there ${failures} times in a row (${why}); what fails there goes elsewhere, and none comes there for ${minutes} min`
    told.push(event(at, 'warning', 'node-failing', message, { node, service, task }))
  }
  for (const { node } of before?.nodes ?? []) {
    if (isGivenUp(node)) continue
    told.push(event(at, 'info', 'node-failing-ended', `${node} may take tasks of ${service} again`, { node, service }))
  }
  if (failing?.stays !== undefined && failing.stays !== before?.stays) {
    const message = `a task of ${service} that fails stays where it is: ${failing.stays}`
    told.push(event(at, 'warning', 'service-stays', message, { service }))
  }
  return told
}

function rebalanceEvents(world: World, rebalance: Rebalance, at: Instant): NewEvent[] {
  const before = world.rebalances.find(({ number }) => number === rebalance.number)
  if (rebalance.state === 'moving' || before?.state === rebalance.state) return []
  const done = rebalance.moves.filter(({ state }) => state === 'done').length
  const what = `rebalance ${rebalance.number}: ${done} of ${rebalance.moves.length} tasks moved`
  if (rebalance.state === 'done') return [event(at, 'info', 'rebalance-finished', what)]
  return [event(at, 'warning', 'rebalance-stopped', `${what}, then stopped: ${rebalance.why}`)]
}

function nodeEvents(
  world: World,
  { node, status }: Extract<Decision, { kind: 'set-node-status' }>,
  at: Instant,
): NewEvent[] {
  const before = world.nodes.get(node)?.status.name
  if (before === undefined || before === status.name) return []
  if (status.name === 'joining') return []
  if (status.name === 'ready') return [event(at, 'info', 'node-ready', `${node} is ready`, { node })]
  const said = { disconnected: 'is disconnected', 'engine-down': 'has no Engine', lost: 'is lost' }[status.name]
  return [event(at, 'warning', `node-${status.name}`, `${node} ${said}: ${status.why}`, { node })]
}

function rolloutEvents(world: World, decision: Extract<Decision, { kind: 'set-rollout' }>, at: Instant): NewEvent[] {
  const { service: name, rollout } = decision
  const service = world.services.get(name)
  if (!service) return []
  const told: NewEvent[] = []
  const names = { service: name }
  const known = 'failures' in service.rollout ? service.rollout.failures.length : 0
  for (const failure of 'failures' in rollout ? rollout.failures.slice(known) : []) {
    const on = failure.node ? ` on ${failure.node}` : ''
    const message = `${failure.task}${on} failed while ${name} is rolled out: ${failure.why}`
    told.push(event(at, 'warning', 'rollout-failure', message, { ...names, task: failure.task }))
  }
  if (rollout.state === service.rollout.state) return told
  switch (rollout.state) {
    case 'settled':
      return [...told, event(at, 'info', 'rollout-finished', `${name} is at version ${rollout.version}`, names)]
    case 'paused':
      return [
        ...told,
        event(at, 'warning', 'rollout-paused', `the rollout of ${name} is paused: ${rollout.why}`, names),
      ]
    case 'rolling-back': {
      const message = `${name} goes back from version ${rollout.failed} to ${rollout.version}: ${rollout.why}`
      return [...told, event(at, 'warning', 'rollout-rolling-back', message, names)]
    }
    case 'rolled-back': {
      const message = `${name} is back at version ${rollout.version}: ${rollout.why}`
      return [...told, event(at, 'warning', 'rollout-rolled-back', message, names)]
    }
    case 'rolling':
      return told
  }
}

function releaseEvents(
  world: World,
  { service: name, release }: Extract<Decision, { kind: 'set-release' }>,
  at: Instant,
): NewEvent[] {
  const before = world.services.get(name)?.release
  if (!before) return []
  if (release.state === 'released') {
    return [event(at, 'info', 'service-released', `${name} starts: its dependencies are met`, { service: name })]
  }
  if (before.state === 'held' && before.waitsFor.length > 0) return []
  const waits = release.waitsFor.map((wait) => `${wait.service} (${wait.condition}, ${wait.now})`).join(', ')
  return [event(at, 'info', 'service-held', `${name} waits for ${waits}`, { service: name })]
}
