/** What holds of priority and preemption after every beat, found by trying everything: for small worlds. */
import { expect } from 'vitest'
import { refusalOf } from '../../coordinator/decide/checks/all.ts'
import { hold, type NodePicture, type Picture, pictureOf, without } from '../../coordinator/decide/picture.ts'
import { needsNeighbour } from '../../coordinator/decide/preempt/preempt.ts'
import { priorityOf } from '../../coordinator/decide/priority.ts'
import type { PlaceRequest } from '../../coordinator/decide/requests.ts'
import { placedByVersionOf, wantedVersionOf } from '../../coordinator/decide/service-facts.ts'
import { holdsRoom, isPreempted } from '../../coordinator/decide/task-facts.ts'
import type { Decision, Task, World } from '../../coordinator/world.ts'

/** `decisions`: those that the last beat made of `world`. */
export function holdPreemptionRules(world: World, decisions: readonly Decision[]): void {
  for (const decision of decisions) {
    if (decision.kind === 'stop-task' && decision.preempted) expectFair(world, decision)
  }
  expectPromisesKept(world)
  for (const task of world.tasksWaiting) if (!task.nomination) expectNoInversion(world, task)
}

type Preempting = Extract<Decision, { kind: 'stop-task' }>

/** Strictly lower only, and never more of a service than it can spare. */
function expectFair(world: World, { task: id, preempted }: Preempting): void {
  expect(preempted!.priority, `${id} for ${preempted!.by}`).toBeLessThan(preempted!.byPriority)
  const victim = world.tasks.get(id)
  const service = victim && world.services.get(victim.service)
  if (!service) return
  expect(wantedVersionOf(service).spec.mode.kind, `${id} is not of a global service`).toBe('replicated')
  expect(preemptedOf(world, service.name), `preempted of ${service.name}`).toBeLessThanOrEqual(
    tasksMaxOf(world, service.name),
  )
}

/** One that stops for another and the one that takes its place are one loss. */
function preemptedOf(world: World, service: string): number {
  const preempted = [...(world.tasksByService.get(service) ?? [])].filter(isPreempted)
  return new Set(preempted.map((task) => task.preempted!.task)).size
}

/** Whoever is promised room will have it, once those that leave have left. */
function expectPromisesKept(world: World): void {
  const promised = [...world.tasksWaiting].filter((task) => task.nomination)
  promised.sort((a, b) => priorityOfTask(world, b) - priorityOfTask(world, a))
  for (const [name, seen] of pictureOf(world)) {
    const later = withoutAll(world, seen, leavingOn(world, name))
    for (const task of promised.filter(({ nomination }) => nomination!.node === name)) {
      const request = requestOf(world, task)
      const refusal = refusalOf(request, { ...later, node: readyNode(later) })
      expect(refusal, `${task.id} is promised room on ${name}`).toBeNull()
      hold(later, task.id, task.service, request.version)
    }
  }
}

/** A promise outlives a moment's absence of the node. */
function readyNode({ node }: NodePicture): NodePicture['node'] {
  if (node.status.name === 'lost' || node.status.name === 'joining') return node
  const connection = { instance: 'i', openedAt: 0, address: '10.0.0.1', wireVersion: 1 }
  return { ...node, status: { name: 'ready', since: 0 }, connection, engine: null }
}

/** No task of lower priority holds room that this one could use under the rules. */
export function expectNoInversion(world: World, task: Task): void {
  if ([...world.nodes.values()].some(({ status, connection }) => status.name === 'ready' && !connection)) return
  const request = requestOf(world, task)
  if (needsNeighbour(request)) return
  // A rollout that stands still asks for no places.
  if (request.service.release.state === 'held' || request.service.rollout.state === 'paused') return
  const priority = priorityOf(request.service)
  for (const [name, seen] of pictureFor(world, task, priority)) {
    if (task.onlyNode !== null && task.onlyNode !== name) continue
    const later = withoutAll(world, seen, leavingOn(world, name))
    const lower = world.settings.preemption ? lowerOn(world, name, priority) : []
    if (refusalOf(request, withoutAll(world, later, lower)) !== null) continue
    for (const victims of subsets(lower)) {
      if (!isWithinBudgets(world, victims)) continue
      const refusal = refusalOf(request, withoutAll(world, later, victims))
      const whom = victims.map(({ id }) => id).join(', ')
      expect(
        refusal,
        `${task.id} (${priority}) waits, and could have room on ${name} of ${whom || 'nobody'}`,
      ).not.toBeNull()
    }
  }
}

/** With what is promised to others of no lower priority. */
function pictureFor(world: World, task: Task, priority: number): Picture {
  const picture = pictureOf(world)
  for (const other of world.tasksWaiting) {
    const seen = picture.get(other.nomination?.node ?? '')
    if (!seen || other === task || priorityOfTask(world, other) < priority) continue
    hold(seen, other.id, other.service, requestOf(world, other).version)
  }
  return picture
}

export function isWithinBudgets(world: World, victims: readonly Task[]): boolean {
  return victims.every(({ service }) => {
    const more = victims.filter((other) => other.service === service).length
    return preemptedOf(world, service) + more <= tasksMaxOf(world, service)
  })
}

function tasksMaxOf(world: World, service: string): number {
  return wantedVersionOf(world.services.get(service)!).spec.preemption?.tasksMax ?? Number.POSITIVE_INFINITY
}

export function lowerOn(world: World, node: string, priority: number): Task[] {
  return [...(world.tasksByNode.get(node) ?? [])].filter((task) => {
    const service = world.services.get(task.service)!
    const isReplicated = wantedVersionOf(service).spec.mode.kind === 'replicated'
    return task.desired === 'running' && holdsRoom(task) && isReplicated && priorityOf(service) < priority
  })
}

function leavingOn(world: World, node: string): Task[] {
  return [...(world.tasksByNode.get(node) ?? [])].filter((task) => task.desired === 'stopped' && holdsRoom(task))
}

export function withoutAll(world: World, seen: NodePicture, tasks: readonly Task[]): NodePicture {
  let left = seen
  for (const task of tasks) {
    const version = world.services.get(task.service)!.versions.get(task.version)!
    left = without(left, task.id, task.service, version)
  }
  return left
}

export function requestOf(world: World, task: Task): PlaceRequest {
  const service = world.services.get(task.service)!
  const version = placedByVersionOf(service, task)!
  const { id, slot, onlyNode, waitsFor } = task
  return { task: id, service, version, slot, onlyNode, waitsFor }
}

function priorityOfTask(world: World, task: Task): number {
  return priorityOf(world.services.get(task.service)!)
}

export function* subsets<T>(items: readonly T[]): Generator<T[]> {
  for (let bits = 0; bits < 2 ** items.length; bits += 1) yield items.filter((_, index) => bits & (1 << index))
}
