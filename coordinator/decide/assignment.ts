/** What a node's agent is told: the whole set of its tasks, or what differs from the set it was told before. */
import type { TaskSpec } from '../../shared/spec.ts'
import type { AssignedTask, AssignmentChange } from '../../shared/wire/down.ts'
import type { NodeName, Task, World } from '../world.ts'

export type AssignmentContent = {
  revision: number
  /** By task hash: the label `berth.spec`. */
  specs: Record<string, TaskSpec>
  tasks: AssignedTask[]
}

/** The node's complete assignment; empty at revision 0 for a node that is not a member. Tasks in the order of their ids. */
export function assignmentOf(world: World, node: NodeName): AssignmentContent {
  const specs: Record<string, TaskSpec> = {}
  const tasks: AssignedTask[] = []
  for (const task of world.tasksByNode.get(node) ?? []) {
    const service = world.services.get(task.service)
    const version = service?.versions.get(task.version)
    if (!service || !version) continue
    specs[version.taskHash] = version.spec.task
    tasks.push(assignedTask(task, service.stack, version.taskHash))
  }
  tasks.sort((a, b) => (a.id < b.id ? -1 : 1))
  return { revision: world.nodes.get(node)?.assignmentRevision ?? 0, specs, tasks }
}

/**
 * What must be said to an agent that was told `sent` (the last `assignmentOf` on this connection, whole) for it to have what is
 * `wanted` of it now; null when nothing differs.
 */
export function changeBetween(sent: AssignmentContent, wanted: AssignmentContent): AssignmentChange | null {
  if (wanted.revision === sent.revision) return null
  const before = new Map(sent.tasks.map((task) => [task.id, task]))
  const put: AssignedTask[] = []
  for (const task of wanted.tasks) {
    const known = before.get(task.id)
    before.delete(task.id)
    // The rest of a task never changes: an id stands for one placement of one version.
    if (!known || known.desired !== task.desired) put.push(task)
  }
  const specs: Record<string, TaskSpec> = {}
  for (const { spec } of put) {
    const content = wanted.specs[spec]
    if (!Object.hasOwn(sent.specs, spec) && content) specs[spec] = content
  }
  const change = { kind: 'assignment-change', base: sent.revision, revision: wanted.revision } as const
  return { ...change, specs, put, remove: [...before.keys()] }
}

function assignedTask(task: Task, stack: string, spec: string): AssignedTask {
  return { id: task.id, stack, service: task.service, slot: task.slot, spec, desired: task.desired }
}
