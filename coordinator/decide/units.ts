/**
 * A unit is what a service wants exactly one working task for: a slot of a replicated service, a node of a global one.
 * Here the tasks of a unit are told apart by what they are good for; what to do about it is reconcile.ts.
 */
import { taintText } from '../../shared/taint.ts'
import { hasEnded } from '../../shared/task-state.ts'
import type { NodeName, Service, ServiceVersion, Task, World } from '../world.ts'
import { type Beat, statusOf } from './beat.ts'
import { platformOf } from './checks/platform.ts'
import { isFailedByNode } from './failing.ts'
import { hashOf, hasNamedVolume } from './service-facts.ts'
import { untolerated } from './taints.ts'
import { hasCompleted, hasFailed, isUp } from './task-facts.ts'

export type Unit = {
  slot: number
  onlyNode: NodeName | null
  /** Wanted task and version, on a node that may keep it, best first; the first one is the keeper. */
  fresh: Task[]
  /** To be replaced: of another version, or on a node that is to be emptied of it. Best first. */
  stale: Task[]
  /** On nodes that are lost. They may come back with it. */
  away: Task[]
  /** Told to stop, not gone yet. */
  stopping: Task[]
}

export function newUnit(slot: number, onlyNode: NodeName | null): Unit {
  return { slot, onlyNode, fresh: [], stale: [], away: [], stopping: [] }
}

/** Sorts the task into its unit. */
export function addToUnit(beat: Beat, service: Service, target: ServiceVersion, unit: Unit, task: Task): void {
  if (task.desired === 'stopped') {
    if (!hasEnded(task.observed.state)) unit.stopping.push(task)
  } else if (isAway(beat, task)) unit.away.push(task)
  else if (isFresh(beat, service, target, task)) unit.fresh.push(task)
  else unit.stale.push(task)
}

export function sortUnit(unit: Unit): void {
  unit.fresh.sort(betterTask)
  unit.stale.sort(betterTask)
}

function isFresh(beat: Beat, service: Service, target: ServiceVersion, task: Task): boolean {
  if (hashOf(service, task) !== target.taskHash) return false
  // What has failed for good stays so until a new version (a deployment or a scaling) asks for another try.
  if (hasFailed(task)) return task.version === target.version && !isMisplaced(beat.world, target, task)
  if (hasEnded(task.observed.state) || task.node === null) return true
  return !mustMove(beat, service, target, task)
}

/**
 * A node that is drained, or has a `no-execute` taint that the version does not tolerate, gives its tasks away, as does one from
 * which a rebalance moves the task; but for those whose data it holds: they stay until an operator decides.
 */
export function mustMove(beat: Beat, service: Service, version: ServiceVersion, task: Task): boolean {
  return whyLeaving(beat, version, task) !== null && !isHome(service, version, task)
}

/** Whether its node is to be emptied of it, as the task is (not as its service is wanted). */
export function isLeaving(beat: Beat, service: Service, task: Task): boolean {
  const own = service.versions.get(task.version)
  return own !== undefined && whyLeaving(beat, own, task) !== null
}

/** In words; null: its node may keep it. */
export function whyLeaving(beat: Beat, version: ServiceVersion, task: Task): string | null {
  const node = task.node === null ? undefined : beat.world.nodes.get(task.node)
  if (!node) return null
  if (task.moveTo !== undefined) return `rebalanced to ${task.moveTo}`
  if (node.availability === 'drain') return `${node.name} is drained`
  const taint = untolerated(node.taints, version.spec.placement, ['no-execute'])
  if (taint) return `${node.name} is tainted ${taintText(taint)}`
  if (isFailedByNode(version, task)) return `${node.name} keeps failing it`
  return isOfOtherPlatform(beat.world, version, task) ? `the image is not made for ${platformOf(node)}` : null
}

/**
 * On a node that does not do for it where another may. What its agent says at the moment does not count: it tries again and again, and
 * between two tries there is no error.
 */
export function isMisplaced(world: World, version: ServiceVersion, task: Task): boolean {
  return isFailedByNode(version, task) || isOfOtherPlatform(world, version, task)
}

/** Has never been up, its image is known not to be made for the node, and there is a node of a platform that it may be made for. */
function isOfOtherPlatform(world: World, { refusedPlatforms }: ServiceVersion, task: Task): boolean {
  const node = task.node === null ? undefined : world.nodes.get(task.node)
  if (!refusedPlatforms || !node || task.firstUpAt !== null) return false
  if (!refusedPlatforms.includes(platformOf(node) ?? '')) return false
  return world.nodes.values().some((other) => !refusedPlatforms.includes(platformOf(other) ?? ''))
}

/** Whether the task runs where its slot's data is. */
export function isHome(service: Service, target: ServiceVersion, task: Task): boolean {
  return hasNamedVolume(target.spec) && service.homes.get(task.slot) === task.node
}

/** An ended task is not away: what it came to is known. */
function isAway(beat: Beat, task: Task): boolean {
  if (task.node === null || hasEnded(task.observed.state)) return false
  return statusOf(beat, task.node)?.name === 'lost'
}

/**
 * Of two tasks for one unit the better one: up before not, placed before waiting, failed last; then the one that was
 * placed first, since it has proven itself longest; then by id, so that the answer does not hang on an order of reading.
 */
export function betterTask(a: Task, b: Task): number {
  return rank(a) - rank(b) || a.placedAt - b.placedAt || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0)
}

/** 0 up, 1 on its way, 2 waiting for a node, 3 failed for good. */
export function rank(task: Task): number {
  if (isUp(task) || hasCompleted(task)) return 0
  if (hasFailed(task)) return 3
  return task.node === null ? 2 : 1
}
