/** The derived parts of a World: kept step by step by apply, and made anew from the stored parts after a start. */
import { FAILURES_MIN } from '../decide/failing.ts'
import type { Service, Task, World } from '../world.ts'

export function rebuildIndexes(world: World): void {
  world.tasksByService = new Map()
  world.tasksByNode = new Map()
  world.tasksWaiting = new Set()
  world.tasksStopping = new Set()
  world.servicesInMotion = new Set()
  world.servicesFailing = new Set()
  world.tasksFailing = new Set()
  for (const task of world.tasks.values()) indexTask(world, task)
  for (const service of world.services.values()) indexService(world, service)
}

/** Call after a task was added or changed its node, desired state or failures in a row. */
export function indexTask(world: World, task: Task): void {
  addTo(world.tasksByService, task.service, task)
  if (task.node !== null) addTo(world.tasksByNode, task.node, task)
  if (task.node === null && task.desired === 'running') world.tasksWaiting.add(task)
  else world.tasksWaiting.delete(task)
  if (task.desired === 'stopped') world.tasksStopping.add(task)
  if (task.desired === 'running' && (task.observed.failures ?? 0) >= FAILURES_MIN) world.tasksFailing.add(task)
  else world.tasksFailing.delete(task)
}

/** Call after a task was taken out of the world. */
export function unindexTask(world: World, task: Task): void {
  removeFrom(world.tasksByService, task.service, task)
  if (task.node !== null) removeFrom(world.tasksByNode, task.node, task)
  world.tasksWaiting.delete(task)
  world.tasksStopping.delete(task)
  world.tasksFailing.delete(task)
}

/** Call after a service was added or its rollout, release, `removing` or what fails its versions changed. */
export function indexService(world: World, service: Service): void {
  if (isInMotion(service)) world.servicesInMotion.add(service.name)
  else world.servicesInMotion.delete(service.name)
  if (isFailedSomewhere(service)) world.servicesFailing.add(service.name)
  else world.servicesFailing.delete(service.name)
}

export function unindexService(world: World, service: Service): void {
  world.servicesInMotion.delete(service.name)
  world.servicesFailing.delete(service.name)
}

function isFailedSomewhere({ versions }: Service): boolean {
  return versions.values().some(({ failing }) => failing !== undefined && failing.nodes.length > 0)
}

function isInMotion(service: Service): boolean {
  const { rollout, release, removing } = service
  if (removing || release.state === 'held') return true
  // A paused one replaces no more units, but tasks that come up after all prove themselves by time.
  return rollout.state === 'rolling' || rollout.state === 'rolling-back' || rollout.state === 'paused'
}

/** A set that becomes empty leaves with its key: a missing key means an empty set. */
function removeFrom<K>(index: Map<K, Set<Task>>, key: K, task: Task): void {
  const tasks = index.get(key)
  tasks?.delete(task)
  if (tasks?.size === 0) index.delete(key)
}

function addTo<K>(index: Map<K, Set<Task>>, key: K, task: Task): void {
  const tasks = index.get(key)
  if (tasks) tasks.add(task)
  else index.set(key, new Set([task]))
}
