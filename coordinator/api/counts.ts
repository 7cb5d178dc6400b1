/** Counting a service's tasks. */
import type { TaskCounts } from '../../shared/api.ts'
import { hasEnded } from '../../shared/task-state.ts'
import { unseen } from '../store/apply-decision.ts'
import type { Kind } from '../store/tally.ts'
import type { Service, Task, World } from '../world.ts'

/**
 * Whether the task runs what the service wants now. Versions that differ only in counts or rules share one task hash, and
 * their tasks are not replaced.
 */
export function isCurrent(service: Service, task: Task): boolean {
  if (task.version === service.version) return true
  const wanted = service.versions.get(service.version)
  return wanted !== undefined && service.versions.get(task.version)?.taskHash === wanted.taskHash
}

/** How many tasks there should be: the replicas, or for a global service those that the scheduler made. */
export function wantedTasks(service: Service, kinds: Iterable<Kind>): number {
  if (service.removing) return 0
  const mode = service.versions.get(service.version)?.spec.mode
  if (mode?.kind === 'replicated') return mode.replicas
  let count = 0
  for (const { like, count: alike } of kinds) if (like.desired === 'running' && isCurrent(service, like)) count += alike
  return count
}

/**
 * The service's tasks as they count. What was last heard of one on a lost node says nothing any more: when another has its
 * place (or its place is that node) it is left out, and one that stays because its data is there waits for its node.
 */
export function tasksOf(world: World, service: string): Task[] {
  const tasks = [...(world.tasksByService.get(service) ?? [])]
  if (!tasks.some((task) => isAway(world, task))) return tasks
  const manned = new Set(tasks.filter((task) => task.desired === 'running' && !isAway(world, task)).map(slotOf))
  return tasks.flatMap((task) => {
    if (!isAway(world, task)) return [task]
    const isReplaced = task.slot === 0 || task.desired === 'stopped' || manned.has(task.slot)
    return isReplaced ? [] : [waitingForItsNode(world, task)]
  })
}

/** On a node that is lost, or would be if any other were heard; and not known to have ended. */
export function isAway(world: World, task: Task): boolean {
  if (task.node === null || hasEnded(task.observed.state)) return false
  return isNodeAway(world, task.node)
}

function isNodeAway(world: World, node: string): boolean {
  const status = world.nodes.get(node)?.status
  return status?.name === 'lost' || (status?.name === 'disconnected' && status.alone === true)
}

const slotOf = (task: Task) => task.slot

function waitingForItsNode(world: World, task: Task): Task {
  const { node } = task
  const status = world.nodes.get(node ?? '')?.status
  const waitsFor: Task['waitsFor'] = [{ node, check: 'liveness', figures: { status: status?.name ?? null } }]
  const home = world.services.get(task.service)?.homes.get(task.slot) ?? null
  if (home === node) waitsFor.unshift({ node, check: 'volume', figures: { home } })
  return { ...task, node: null, waitsFor, observed: unseen('waiting', status?.since ?? task.observed.since) }
}

/** What a service's tasks are asked as a whole: how many there are of each kind, and those that wait for a node. */
export type Look = { kinds: Kind[]; waiting: Iterable<Task> }

/** Each task is of its own kind. */
export function lookAt(tasks: Task[]): Look {
  return { kinds: tasks.map((like) => ({ like, count: 1 })), waiting: tasks }
}

/**
 * A look at any of the world's services, without one at each task where the world has a tally; but for services with tasks on nodes
 * that are away, which do not count as they are.
 */
export function looksAt(world: World): (service: string) => Look {
  const { tally } = world
  if (!tally) return (service) => lookAt(tasksOf(world, service))
  const waiting = Map.groupBy(world.tasksWaiting, ({ service }) => service)
  const away = new Set<string>()
  for (const name of world.nodes.keys()) {
    for (const task of isNodeAway(world, name) ? (world.tasksByNode.get(name) ?? []) : []) away.add(task.service)
  }
  return (service) => {
    if (away.has(service)) return lookAt(tasksOf(world, service))
    return { kinds: [...(tally.services.get(service)?.values() ?? [])], waiting: waiting.get(service) ?? [] }
  }
}

export function countTasks(service: Service, tasks: Task[]): TaskCounts {
  return countKinds(service, lookAt(tasks).kinds)
}

export function countKinds(service: Service, kinds: Iterable<Kind>): TaskCounts {
  const counts = noTasks()
  counts.wanted = wantedTasks(service, kinds)
  for (const kind of kinds) addKind(counts, kind)
  return counts
}

export function noTasks(): TaskCounts {
  return {
    wanted: 0,
    running: 0,
    healthy: 0,
    unhealthy: 0,
    waiting: 0,
    starting: 0,
    restarting: 0,
    stopping: 0,
    completed: 0,
    failed: 0,
  }
}

/** Adds every count of `more` to `counts`. */
export function addCounts(counts: TaskCounts, more: TaskCounts): void {
  for (const key of Object.keys(counts) as (keyof TaskCounts)[]) counts[key] += more[key]
}

/** Each task stands in one of the counts by its state; a running one also in `healthy` or `unhealthy`. */
function addKind(counts: TaskCounts, { like: task, count }: Kind): void {
  const { state, health } = task.observed
  if (task.desired === 'stopped') {
    if (!hasEnded(state)) counts.stopping += count
    return
  }
  if (task.node === null) counts.waiting += count
  else if (state === 'running') {
    counts.running += count
    if (health === 'healthy') counts.healthy += count
    if (health === 'unhealthy') counts.unhealthy += count
  } else if (state === 'restarting') counts.restarting += count
  else if (state === 'stopping') counts.stopping += count
  else if (state === 'completed') counts.completed += count
  else if (state === 'failed' || state === 'stopped') counts.failed += count
  else counts.starting += count
}
