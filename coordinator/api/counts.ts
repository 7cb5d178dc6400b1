/** Counting a service's tasks. */
import type { TaskCounts } from '../../shared/api.ts'
import { hasEnded } from '../../shared/task-state.ts'
import { unseen } from '../store/apply-decision.ts'
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
export function wantedTasks(service: Service, tasks: Iterable<Task>): number {
  if (service.removing) return 0
  const mode = service.versions.get(service.version)?.spec.mode
  if (mode?.kind === 'replicated') return mode.replicas
  let count = 0
  for (const task of tasks) if (task.desired === 'running' && isCurrent(service, task)) count += 1
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
  const status = world.nodes.get(task.node)?.status
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

export function countTasks(service: Service, tasks: Iterable<Task>): TaskCounts {
  const counts = noTasks()
  counts.wanted = wantedTasks(service, tasks)
  for (const task of tasks) addTask(counts, task)
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
function addTask(counts: TaskCounts, task: Task): void {
  const { state, health } = task.observed
  if (task.desired === 'stopped') {
    if (!hasEnded(state)) counts.stopping += 1
    return
  }
  if (task.node === null) counts.waiting += 1
  else if (state === 'running') {
    counts.running += 1
    if (health === 'healthy') counts.healthy += 1
    if (health === 'unhealthy') counts.unhealthy += 1
  } else if (state === 'restarting') counts.restarting += 1
  else if (state === 'stopping') counts.stopping += 1
  else if (state === 'completed') counts.completed += 1
  else if (state === 'failed' || state === 'stopped') counts.failed += 1
  else counts.starting += 1
}
