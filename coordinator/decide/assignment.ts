/** What a node's agent is told: the whole set of its tasks, or what differs from the set it was told before. */
import type { TaskSpec } from '../../shared/spec.ts'
import type { AssignedTask, AssignmentChange } from '../../shared/wire/down.ts'
import type { NodeName, Service, ServiceVersion, Task, TaskId, World } from '../world.ts'

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
  for (const { task, service, version } of wantedOn(world, node)) {
    specs[version.taskHash] = version.spec.task
    tasks.push(assignedTask(task, service.stack, version.taskHash))
  }
  tasks.sort((a, b) => (a.id < b.id ? -1 : 1))
  return { revision: world.nodes.get(node)?.assignmentRevision ?? 0, specs, tasks }
}

/** What an agent has been told on its connection, kept up to date by `changeFrom`. */
export type Told = {
  revision: number
  /** Hashes of those that its tasks use. */
  specs: Set<string>
  tasks: Map<TaskId, AssignedTask>
}

export function toldBy({ revision, specs, tasks }: AssignmentContent): Told {
  return { revision, specs: new Set(Object.keys(specs)), tasks: new Map(tasks.map((task) => [task.id, task])) }
}

/**
 * What must be said to an agent for it to have the node's complete assignment, and `told` afterwards; null when nothing differs. Of
 * tasks that it knows already it costs no more than a look at each.
 */
export function changeFrom(told: Told, world: World, node: NodeName): AssignmentChange | null {
  const base = told.revision
  const revision = world.nodes.get(node)?.assignmentRevision ?? 0
  if (revision === base) return null
  const put: AssignedTask[] = []
  const specs: Record<string, TaskSpec> = {}
  let known = 0
  for (const { task, service, version } of wantedOn(world, node)) {
    const before = told.tasks.get(task.id)
    if (before) known += 1
    // The rest of a task never changes: an id stands for one placement of one version.
    if (before?.desired === task.desired) continue
    const { taskHash } = version
    put.push(assignedTask(task, service.stack, taskHash))
    if (!told.specs.has(taskHash)) specs[taskHash] = version.spec.task
  }
  put.sort((a, b) => (a.id < b.id ? -1 : 1))
  const remove = known === told.tasks.size ? [] : goneFrom(told, world, node)
  take(told, revision, put, remove)
  return { kind: 'assignment-change', base, revision, specs, put, remove }
}

function goneFrom(told: Told, world: World, node: NodeName): TaskId[] {
  const wanted = new Set(wantedOn(world, node).map(({ task }) => task.id))
  return [...told.tasks.keys()].filter((id) => !wanted.has(id))
}

function* wantedOn(world: World, node: NodeName): Generator<{ task: Task; service: Service; version: ServiceVersion }> {
  for (const task of world.tasksByNode.get(node) ?? []) {
    const service = world.services.get(task.service)
    const version = service?.versions.get(task.version)
    if (service && version) yield { task, service, version }
  }
}

function take(told: Told, revision: number, put: readonly AssignedTask[], remove: readonly TaskId[]): void {
  told.revision = revision
  for (const id of remove) told.tasks.delete(id)
  for (const task of put) told.tasks.set(task.id, task)
  // What no task uses any more the agent forgets.
  if (remove.length > 0) told.specs = new Set(told.tasks.values().map(({ spec }) => spec))
  else for (const { spec } of put) told.specs.add(spec)
}

function assignedTask(task: Task, stack: string, spec: string): AssignedTask {
  return { id: task.id, stack, service: task.service, slot: task.slot, spec, desired: task.desired }
}
