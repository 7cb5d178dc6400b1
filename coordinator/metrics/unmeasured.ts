/**
 * Tasks of which no load is known though their restarts are worth telling: a container that ends as soon as it has started is
 * never sampled, and it is just the one whose restarts somebody looks for.
 */
import type { Node, Task, World } from '../world.ts'

/** `among`: ids of those that are asked for, which may have gone; null: all. */
export function* restartedUnmeasured(
  world: World,
  node: Node,
  among: ReadonlySet<string> | null = null,
): Generator<Task> {
  const tasks = world.tasksByNode.get(node.name)
  // Mostly all have a load: nobody is looked at then.
  if (tasks === undefined || tasks.size <= node.containerLoads.size) return
  for (const task of among === null ? tasks : known(world, tasks, among)) {
    if (restartsOf(task) > 0 && !node.containerLoads.has(task.id)) yield task
  }
}

function* known(world: World, tasks: ReadonlySet<Task>, ids: ReadonlySet<string>): Generator<Task> {
  for (const id of ids) {
    const task = world.tasks.get(id)
    if (task !== undefined && tasks.has(task)) yield task
  }
}

/** Starts after the first. */
export function restartsOf({ observed: { attempt } }: Task): number {
  return Math.max(0, attempt - 1)
}
