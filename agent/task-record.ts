/** All that the supervisor holds of one task. */
import type { Instant } from '../shared/clock.ts'
import type { TaskSpec } from '../shared/spec.ts'
import type { AssignedTask } from '../shared/wire/down.ts'
import type { TaskObservation } from '../shared/wire/up.ts'
import type { Container } from './decide/container.ts'
import { NOTHING_REMEMBERED, type TaskMemory } from './decide/memory.ts'
import { endedForGood, ownContainer, type Step, type TaskPicture } from './decide/next-steps.ts'
import type { Activity } from './decide/observe.ts'
import { type ProbedRun, withProbedHealth } from './decide/probe.ts'
import { signOf } from './decide/sampling.ts'
import type { ContainerHandle } from './parts.ts'

export type TaskRecord = {
  readonly id: string
  assigned: AssignedTask | null
  spec: TaskSpec | null
  /** Ours only, by id. */
  containers: Map<string, Container>
  memory: TaskMemory
  /** Containers that something happened to: to be inspected before the next judgement. */
  lookAt: Set<string>
  /** A container of it was told to end by another hand, be it that of an Engine that stops: not looked into yet. */
  killed: boolean
  /** The step under way; null: the next beat may judge. */
  operation: Operation | null
  activity: Activity
  /** What its probes found of its present run, or of the one before; null: it was never probed. */
  probed: ProbedRun | null
  /** What was seen last, whether told or not. */
  observation: TaskObservation | null
  /** What was told last. */
  told: TaskObservation | null
}

/** `abandoned` is aborted when its task does not wait for it any more (only pulls are left so). */
export type Operation = { kind: Step['kind'] | 'look'; abandoned: AbortController }

export function newRecord(id: string, memory: TaskMemory = NOTHING_REMEMBERED): TaskRecord {
  return {
    id,
    assigned: null,
    spec: null,
    containers: new Map(),
    memory,
    lookAt: new Set(),
    killed: false,
    operation: null,
    activity: null,
    probed: null,
    observation: null,
    told: null,
  }
}

/** The task's record, made when there is none. */
export function recordIn(records: Map<string, TaskRecord>, task: string): TaskRecord {
  let record = records.get(task)
  if (!record) {
    record = newRecord(task)
    records.set(task, record)
  }
  return record
}

/** With the health that its probes found, where it is probed. */
export function pictureOf(record: TaskRecord): TaskPicture {
  const picture = plainPictureOf(record)
  const { spec, memory, probed } = record
  if (!spec?.container.probe) return picture
  const containers = picture.containers.map((each) => withProbedHealth(each, spec, memory.attempt, probed))
  return { ...picture, containers }
}

/** As the Engine alone shows it. */
export function plainPictureOf(record: TaskRecord): TaskPicture {
  return {
    task: record.id,
    assigned: record.assigned,
    spec: record.spec,
    containers: [...record.containers.values()],
    memory: record.memory,
  }
}

export function isForgotten(record: TaskRecord): boolean {
  return !record.assigned && record.containers.size === 0 && !record.operation
}

/** It has ended and will not be started again. */
export function isOver({ assigned, spec, containers, memory }: TaskRecord): boolean {
  if (assigned?.desired !== 'running' || !spec) return false
  return endedForGood(ownContainer({ assigned, containers: [...containers.values()] }), spec, memory)
}

export function wantsToRun(record: TaskRecord): boolean {
  return record.assigned?.desired === 'running'
}

/** Null: it has no container. `rollouts`: services that are under one here; `now`: epoch milliseconds. */
export function handleOf(record: TaskRecord, rollouts: ReadonlySet<string>, now: Instant): ContainerHandle | null {
  const container = ownContainer(pictureOf(record))
  if (!container) return null
  const { id, pid, logPath, logFilesMax, memoryBytesLimit, healthCheckMs } = container
  const { attempt } = record.memory
  const sign = signOf(container, record.assigned, attempt, rollouts, now)
  const sampling = record.spec?.sampling
  return {
    ...{ task: record.id, containerId: id, attempt, pid, logPath, memoryBytesLimit },
    ...(healthCheckMs !== undefined && { healthCheckMs }),
    ...(logFilesMax && { logFilesMax }),
    ...(sign && { sign }),
    ...(sampling && { sampling }),
  }
}
