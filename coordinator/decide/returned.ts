/**
 * A task that had ended for good and runs again: an operator started its container, or its agent has forgotten that it had ended.
 * What has ended holds no room, so its room may have been given to others since. Where it still fits it is as welcome as any;
 * where it does not, it gives way, since the others were promised theirs: two tasks with one host port would block each other.
 */
import type { Node, Service, Task, World } from '../world.ts'
import { type Beat, stop } from './beat.ts'
import { roomRefusalOf } from './checks/all.ts'
import { nodePicture } from './picture.ts'
import { holdsRoom } from './task-facts.ts'

/** Stops those of the service's tasks that have come back to where there is no room for them, and returns all as they are then. */
export function turnAwayReturned(beat: Beat, service: Service, tasks: readonly Task[]): Task[] {
  const left: Task[] = []
  for (const task of tasks) {
    const why = whyTurnedAway(beat.world, service, task)
    if (why !== null) stop(beat, task, why)
    if (!beat.forgotten.has(task.id)) left.push(why === null ? task : { ...task, desired: 'stopped', stopReason: why })
  }
  return left
}

function whyTurnedAway(world: World, service: Service, task: Task): string | null {
  if (!task.observed.returned || task.desired === 'stopped' || !holdsRoom(task)) return null
  const node = task.node === null ? undefined : world.nodes.get(task.node)
  const version = service.versions.get(task.version)
  if (!node || !version) return null
  const { id, slot, onlyNode } = task
  const request = { task: id, service, version, slot, onlyNode, waitsFor: [] }
  const refusal = roomRefusalOf(request, withoutReturned(world, node, task))
  return (
    refusal && `it runs again after it had ended, and its room on ${node.name} was given to others (${refusal.check})`
  )
}

/** Of several that have come back to one node the oldest is asked first; those that are turned away are in nobody's way. */
function withoutReturned(world: World, node: Node, task: Task) {
  const isAhead = (other: Task) => !other.observed.returned || (other.desired === 'running' && isOlder(other, task))
  return nodePicture(world, node, (other) => holdsRoom(other) && other.id !== task.id && isAhead(other))
}

/** Of two that were made at the same instant any order will do, as long as it is always the same. */
function isOlder(a: Task, b: Task): boolean {
  return a.createdAt === b.createdAt ? a.id < b.id : a.createdAt < b.createdAt
}
