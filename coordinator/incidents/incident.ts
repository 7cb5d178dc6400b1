/**
 * An incident: what went bad, and the evidence of that moment, in a form that outlives container, node and the world's
 * memory of both. Fields are picked one by one: nothing of a spec's environment, arguments or secrets is in it.
 */
import type { Instant } from '../../shared/clock.ts'
import type { BadNode, BadRollout, BadTask, BadTransition } from '../decide/bad-transition.ts'
import type { NodeName, PlacementReason, Task, TaskId, World } from '../world.ts'
import type { Sample } from './samples.ts'

export type Occurrence = {
  at: Instant
  kind: BadTransition['kind']
  task: string | null
  node: string | null
  attempt: number | null
  exitCode: number | null
  reason: string
}

export type Incident = {
  number: number
  /** Of the first and the latest failure that are counted in it; see drafts.ts. Absent in files of older versions. */
  drafts?: { first: number; last: number }
  /** Failures of the same within ten minutes are one incident. */
  subject: string
  kind: BadTransition['kind']
  at: Instant
  service: string | null
  node: string | null
  task: string | null
  /** For people: `shop_api.7`. */
  taskName: string | null
  reason: string
  lastAt: Instant
  count: number
  /** The latest few, oldest first. */
  occurrences: Occurrence[]
  ending: { attempt: number; exitCode: number | null; oomKilled: boolean; error: string | null } | null
  healthMessage: string | null
  container: {
    id: string | null
    image: string
    imageId: string | null
    version: number
    upSince: Instant | null
  } | null
  /** Why the task was where it was. */
  placement: { node: string; at: Instant; reason: PlacementReason | null } | null
  /** Tasks that a lost node had, or that failed in a rollout: some names, and how many in all. */
  tasks: { names: string[]; count: number }
  samples: Sample[]
  lines: IncidentLines
}

export type IncidentLines = {
  /** Of which task, by the clock of its host; null: there is none to ask for. */
  from: { task: string; node: string; until: Instant } | null
  state: 'waiting' | 'kept' | 'none'
  /** What may be missing, in words; null: nothing that is known of. */
  missing: string | null
  kept: { at: Instant; source: 'stdout' | 'stderr'; text: string }[]
}

export const OCCURRENCES_KEPT = 20
export const TASKS_NAMED = 100
/** Lines written in the last moment may be stamped a little later than the end is. */
const END_SLACK_MS = 500

/** The evidence as the world has it before the transition is applied. Its number is given when it turns out to be new. */
export function incidentOf(world: World, bad: BadTransition, samplesOf: SamplesOf): Incident | null {
  if ('failures' in bad) return rolloutIncident(world, bad, samplesOf)
  if (!('seen' in bad)) return nodeIncident(world, bad, samplesOf({ node: bad.node }))
  const task = world.tasks.get(bad.task)
  if (task === undefined) return null
  return taskIncident(world, bad, task, samplesOf({ node: bad.node, task: task.id, attempt: bad.seen.attempt }))
}

/** Of a node, of a task on it, or of one run of that. */
export type SamplesOf = (of: { node: NodeName; task?: TaskId; attempt?: number }) => Sample[]

function taskIncident(world: World, bad: BadTask, task: Task, samples: Sample[]): Incident {
  const { seen, node, at, kind } = bad
  const spec = world.services.get(task.service)?.versions.get(task.version)?.spec
  const { attempt } = seen
  const exitCode = seen.exitCode ?? null
  const reason = taskReason(bad)
  const endedAt = kind === 'unhealthy' ? (seen.healthSince ?? seen.since) : seen.since
  return {
    ...begun(bad, `task ${task.service} ${task.slot > 0 ? task.slot : node}`, reason),
    service: task.service,
    node,
    task: task.id,
    taskName: task.slot > 0 ? `${task.service}.${task.slot}` : `${task.service}@${node}`,
    occurrences: [{ at, kind, task: task.id, node, attempt, exitCode, reason }],
    ending:
      kind === 'unhealthy'
        ? null
        : { attempt, exitCode, oomKilled: seen.oomKilled ?? false, error: seen.error?.message ?? null },
    healthMessage: seen.healthMessage ?? task.observed.healthMessage,
    container: {
      id: seen.containerId ?? task.observed.containerId,
      image: spec?.task.container.image ?? '',
      imageId: seen.imageId ?? task.observed.imageId,
      version: task.version,
      upSince: task.observed.state === 'running' ? task.observed.since : null,
    },
    placement: { node, at: task.placedAt, reason: task.reason ?? null },
    samples,
    lines: { from: { task: task.id, node, until: endedAt + END_SLACK_MS }, state: 'waiting', missing: null, kept: [] },
  }
}

function taskReason({ kind, seen }: BadTask): string {
  switch (kind) {
    case 'unhealthy':
      return seen.healthMessage ? `became unhealthy: ${seen.healthMessage}` : 'became unhealthy'
    case 'out-of-memory':
      return 'was killed: out of memory'
    case 'exit':
      return `exited with code ${seen.exitCode}`
    case 'error':
      return seen.error?.message ?? 'failed'
  }
}

function nodeIncident(world: World, bad: BadNode, samples: Sample[]): Incident {
  const { node, kind, why } = bad
  // A drain is no part of what befalls the node of itself.
  const subject = kind === 'node-drained' ? `drain ${node}` : `node ${node}`
  const names: string[] = []
  const own = world.tasksByNode.get(node) ?? new Set()
  for (const { id } of own) if (names.length < TASKS_NAMED) names.push(id)
  return {
    ...begun(bad, subject, `${NODE_REASONS[kind]}: ${why}`),
    node,
    tasks: { names, count: own.size },
    samples,
  }
}

const NODE_REASONS: Record<BadNode['kind'], string> = {
  'node-lost': 'was lost',
  'node-back': 'is back',
  'node-drained': 'was drained',
  'engine-down': 'had no Engine',
}

function rolloutIncident(world: World, bad: BadRollout, samplesOf: SamplesOf): Incident {
  const { service, failures, why, at } = bad
  const last = failures.at(-1)
  const until = last ? last.at + END_SLACK_MS + (world.nodes.get(last.node)?.clockSkewMs ?? 0) : at
  const begin = begun(bad, `rollout ${service}`, `its rollout failed: ${why}`)
  return {
    ...begin,
    service,
    tasks: { names: failures.slice(-TASKS_NAMED).map(({ task }) => task), count: failures.length },
    ...(last && {
      samples: samplesOf(last),
      lines: { ...begin.lines, from: { task: last.task, node: last.node, until }, state: 'waiting' },
    }),
  }
}

function begun(bad: BadTransition, subject: string, reason: string): Incident {
  const { at, kind } = bad
  const node = 'node' in bad ? bad.node : null
  return {
    number: 0,
    subject,
    kind,
    at,
    service: null,
    node: null,
    task: null,
    taskName: null,
    reason,
    lastAt: at,
    count: 1,
    occurrences: [{ at, kind, task: null, node, attempt: null, exitCode: null, reason }],
    ending: null,
    healthMessage: null,
    container: null,
    placement: null,
    tasks: { names: [], count: 0 },
    samples: [],
    lines: { from: null, state: 'none', missing: null, kept: [] },
  }
}

/** The first evidence stays: what went wrong first is what matters. Of what follows it keeps when, where and how. */
export function withAnother(incident: Incident, { at, drafts, occurrences }: Incident): Incident {
  return {
    ...incident,
    ...(drafts && { drafts: { first: incident.drafts?.first ?? 0, last: drafts.last } }),
    count: incident.count + 1,
    lastAt: Math.max(incident.lastAt, at),
    occurrences: [...incident.occurrences, ...occurrences].slice(-OCCURRENCES_KEPT),
  }
}
