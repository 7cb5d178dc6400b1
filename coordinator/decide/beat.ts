/** What one pass of deciding works on: the world as given, what was decided in this pass on top of it, and the answer so far. */
import type { Instant } from '../../shared/clock.ts'
import type { Decision, NodeName, NodeStatus, Preempted, Service, ServiceName, Task, TaskId, World } from '../world.ts'
import type { PlaceRequest } from './requests.ts'
import type { DecideSettings } from './settings.ts'

export type Beat = {
  world: World
  now: Instant
  settings: DecideSettings
  decisions: Decision[]
  /** Statuses decided in this beat; `statusOf` looks here first. */
  statuses: Map<NodeName, NodeStatus>
  /** Services as decided in this beat (release, rollout, version). */
  services: Map<ServiceName, Service>
  /** Tasks that this beat stopped or forgot, and the versions of those it made: whoever looks at a service later in the beat sees both. */
  ended: Set<TaskId>
  forgotten: Set<TaskId>
  created: Map<ServiceName, number[]>
  /** By service and slot: who was preempted there, for whoever takes the slot next. */
  preempted: Map<string, Preempted>
  nextTaskNumber: number
  requests: PlaceRequest[]
  /** For a replacement that asks for a place: the tasks that would make room for it by stopping first. */
  makeRoom: Map<TaskId, Task[]>
  wakeAt: Instant | null
}

export function statusOf(beat: Beat, node: NodeName): NodeStatus | null {
  return beat.statuses.get(node) ?? beat.world.nodes.get(node)?.status ?? null
}

export function serviceOf(beat: Beat, name: ServiceName): Service | null {
  return beat.services.get(name) ?? beat.world.services.get(name) ?? null
}

export function wakeBy(beat: Beat, at: Instant): void {
  if (beat.wakeAt === null || at < beat.wakeAt) beat.wakeAt = at
}

/**
 * A task that never got a node has nothing to stop, and one on a lost node nobody to stop it: they are forgotten at once.
 * When the node comes back its complete assignment no longer names the task, so the agent removes the container.
 */
export function stop(beat: Beat, task: Task, why: string): void {
  beat.ended.add(task.id)
  const isReachable = task.node !== null && statusOf(beat, task.node)?.name !== 'lost'
  if (!isReachable) forget(beat, task, why)
  else beat.decisions.push({ kind: 'stop-task', task: task.id, why })
}

/** Stopped for another of higher priority; its node is with us, or nobody would have chosen it. */
export function preempt(beat: Beat, task: Task, why: string, preempted: Preempted): void {
  beat.ended.add(task.id)
  beat.decisions.push({ kind: 'stop-task', task: task.id, why, preempted })
}

export function forget(beat: Beat, task: Task, why: string): void {
  beat.ended.add(task.id)
  beat.forgotten.add(task.id)
  beat.decisions.push({ kind: 'forget-task', task: task.id, why })
}

/** Ids come from the world's counter, not from chance, so that the same world gives the same ids. */
export function create(
  beat: Beat,
  service: Service,
  wanted: { slot: number; version: number; onlyNode: NodeName | null; preempted: Preempted | null },
  why: string,
): TaskId {
  const task = `${service.name}.${wanted.slot}.${beat.nextTaskNumber.toString(36)}`
  beat.nextTaskNumber += 1
  const { slot, version, onlyNode, preempted } = wanted
  const created = beat.created.get(service.name)
  if (created) created.push(version)
  else beat.created.set(service.name, [version])
  const more = { ...(onlyNode !== null && { onlyNode }), ...(preempted && { preempted }) }
  beat.decisions.push({ kind: 'create-task', task, service: service.name, slot, version, ...more, why })
  return task
}
