/**
 * Tasks of which no load is known though their restarts are worth telling: a container that ends as soon as it has started is
 * never sampled, and it is just the one whose restarts somebody looks for.
 */
import type { Node, Task, World } from '../world.ts'

export function* restartedUnmeasured(world: World, node: Node): Generator<Task> {
  const tasks = world.tasksByNode.get(node.name)
  // Mostly all have a load: nobody is looked at then.
  if (tasks === undefined || tasks.size <= node.containerLoads.size) return
  for (const task of tasks) if (restartsOf(task) > 0 && !node.containerLoads.has(task.id)) yield task
}

/** Starts after the first. */
export function restartsOf({ observed: { attempt } }: Task): number {
  return Math.max(0, attempt - 1)
}
