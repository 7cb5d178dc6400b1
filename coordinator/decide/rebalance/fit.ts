/** Whether the nodes that moves go to can take them, asked of one move after the other in the picture that the earlier ones leave. */
import type { NodeName, Refusal, Task, TaskId, World } from '../../world.ts'
import { refusalOf } from '../checks/all.ts'
import { hold, type Picture, pictureOf, without } from '../picture.ts'
import { wantedVersionOf } from '../service-facts.ts'

export type Unfit = { task: TaskId; to: NodeName; refusal: Refusal }

/** Those that find no place, in the order of `moves`. Moves of tasks or to nodes that there are not are not judged here. */
export function unfitMoves(world: World, moves: readonly { task: TaskId; to: NodeName }[]): Unfit[] {
  const picture = pictureOf(world)
  const unfit: Unfit[] = []
  for (const { task: id, to } of moves) {
    const task = world.tasks.get(id)
    if (!task || !picture.has(to)) continue
    const refusal = refusalAt(world, picture, task, to)
    if (refusal === null) take(world, picture, task, to)
    else unfit.push({ task: id, to, refusal })
  }
  return unfit
}

/** What the node has against the task as it is in the picture; both must be there. */
export function refusalAt(world: World, picture: Picture, task: Task, to: NodeName): Refusal | null {
  const service = world.services.get(task.service)!
  const version = wantedVersionOf(service)
  const request = { task: task.id, service, version, slot: task.slot, onlyNode: null, waitsFor: [] }
  return refusalOf(request, picture.get(to)!)
}

/** The task as it will be: on `to`, and no longer where it was. */
function take(world: World, picture: Picture, { id, service, node }: Task, to: NodeName): void {
  const version = wantedVersionOf(world.services.get(service)!)
  const left = node === null ? undefined : picture.get(node)
  if (left) picture.set(left.node.name, without(left, id, service, version))
  hold(picture.get(to)!, id, service, version)
}
