/** `berth why`: why tasks wait, asked of every node anew, and why a task has the node that it has. */
import { refusalOf } from '../decide/checks/all.ts'
import { type Picture, pictureOf, without } from '../decide/picture.ts'
import { countRefusals, type RefusalCount } from '../decide/refusal-counts.ts'
import type { PlaceRequest } from '../decide/requests.ts'
import { placementAsNow } from '../decide/schedule.ts'
import { type SmallestChange, smallestChanges } from '../decide/smallest-change.ts'
import type { PlacementReason, Refusal, ServiceName, Task, World } from '../world.ts'

export type WaitGroup = {
  service: ServiceName
  /** They ask for the same and wait for the same. */
  tasks: Task[]
  /** How many nodes were asked. */
  of: number
  counts: RefusalCount[]
  smallest: SmallestChange[]
}

/** A service's tasks mostly wait for one reason; those of a global one for one node each. */
const GROUPS_MAX = 10

/** Why the tasks wait, as things are now: at most so many groups, the oldest first. One walk over all nodes. */
export function whyWaiting(world: World, tasks: Iterable<Task>): WaitGroup[] {
  const groups = new Map<string, { request: PlaceRequest; tasks: Task[] }>()
  for (const task of tasks) {
    if (task.node !== null || task.desired !== 'running') continue
    const request = requestOf(world, task)
    if (!request) continue
    // A slot whose data has a home asks for that node only.
    const home = request.service.homes.get(task.slot)
    const key = `${task.service} ${task.version} ${task.onlyNode ?? ''} ${home ?? ''}`
    const group = groups.get(key)
    if (group) group.tasks.push(task)
    else if (groups.size < GROUPS_MAX) groups.set(key, { request, tasks: [task] })
  }
  if (groups.size === 0) return []
  const picture = pictureOf(world)
  return [...groups.values()].map(({ request, tasks: waiting }) => {
    const refusals = allRefusals(request, picture)
    const of = request.onlyNode === null ? picture.size : 1
    return {
      service: request.service.name,
      tasks: waiting.sort((a, b) => a.createdAt - b.createdAt || a.slot - b.slot),
      of,
      counts: countRefusals(refusals),
      // One that fits by now gets its place with the next beat.
      smallest: refusals.length < of ? [] : smallestChanges(request, picture.values()),
    }
  })
}

function allRefusals(request: PlaceRequest, picture: Picture): Refusal[] {
  if (picture.size === 0) return [{ node: null, check: 'no-nodes', figures: { nodes: 0 } }]
  const refusals: Refusal[] = []
  for (const [name, seen] of picture) {
    if (request.onlyNode !== null && request.onlyNode !== name) continue
    const refusal = refusalOf(request, seen)
    if (refusal) refusals.push(refusal)
  }
  return refusals
}

/** What the scheduler was, or would be, asked for the task; null when its service or version is gone. */
export function requestOf(world: World, task: Task): PlaceRequest | null {
  const service = world.services.get(task.service)
  const version = service?.versions.get(task.version)
  if (!service || !version) return null
  const { id, slot, onlyNode, waitsFor } = task
  return { task: id, service, version, slot, onlyNode, waitsFor }
}

/** For a task whose placement kept no others: what the same choice would look like now, with the task itself taken away. */
export function reasonAsNow(world: World, task: Task): PlacementReason | null {
  const request = requestOf(world, task)
  const picture = pictureOf(world)
  const seen = task.node === null ? undefined : picture.get(task.node)
  if (!request || !seen) return null
  picture.set(seen.node.name, without(seen, task.id, task.service, request.version))
  return placementAsNow(request, picture, seen.node.name, world.settings.policy)
}
