/** A task of the world as a document of the API. */
import type { TaskDocument } from '../../shared/api.ts'
import { preemptedBy } from '../decide/preempt/told.ts'
import { homeVolumeOf } from '../decide/service-facts.ts'
import { isPreempted } from '../decide/task-facts.ts'
import type { Task, World } from '../world.ts'
import { isAway } from './counts.ts'
import { waitReasons } from './refusal-words.ts'
import { viewSampling } from './view-sampling.ts'
import { isoTime } from './words.ts'

/** For people: `shop_api.7`, or `shop_agent@web-1` for a global service's. */
export function taskName(task: Task): string {
  return task.slot > 0 ? `${task.service}.${task.slot}` : `${task.service}@${task.node ?? '?'}`
}

export function viewTask(world: World, task: Task): TaskDocument {
  const service = world.services.get(task.service)
  const spec = service?.versions.get(task.version)?.spec
  const load = task.node === null ? undefined : world.nodes.get(task.node)?.containerLoads.get(task.id)
  const sampling = viewSampling(load)
  const { observed } = task
  return {
    id: task.id,
    name: taskName(task),
    stack: service?.stack ?? '',
    service: task.service,
    slot: task.slot,
    version: task.version,
    image: spec?.task.container.image ?? '',
    node: task.node,
    desired: task.desired,
    nodeLost: isAway(world, task),
    state: task.node === null && task.desired === 'running' ? 'waiting' : observed.state,
    since: isoTime(observed.since),
    health: observed.health,
    healthMessage: observed.healthMessage,
    attempt: observed.attempt,
    createdAt: isoTime(task.createdAt),
    containerId: observed.containerId,
    imageId: observed.imageId,
    exitCode: observed.exitCode,
    oomKilled: observed.oomKilled,
    error: observed.error,
    restartAt: observed.restartAt === null ? null : isoTime(observed.restartAt),
    stopReason: task.stopReason,
    ...(isPreempted(task) && task.preempted && { preempted: preemptedBy(task.preempted) }),
    ...(task.nomination && { promised: task.nomination.node }),
    waits: waitReasons([task]),
    homeVolume: spec && service?.homes.get(task.slot) === task.node ? homeVolumeOf(spec) : null,
    ports: observed.ports,
    cpuCoresUsed: load?.cpuCoresUsed ?? null,
    memoryBytesUsed: load?.memoryBytesUsed ?? null,
    ...(sampling && { sampling }),
  }
}

/** By a task's id, or by the name people see; newest first wins where a slot has an old and a new task. */
export function findTask(world: World, idOrName: string): Task | null {
  const byId = world.tasks.get(idOrName)
  if (byId) return byId
  let found: Task | null = null
  for (const task of world.tasks.values()) {
    if (taskName(task) !== idOrName) continue
    if (!found || rank(task) > rank(found)) found = task
  }
  return found
}

const rank = (task: Task) => (task.desired === 'running' ? 1e15 : 0) + task.createdAt
