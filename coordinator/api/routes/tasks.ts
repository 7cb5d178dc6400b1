/** Tasks, by stack, service or node. */
import type { FastifyInstance } from 'fastify'
import { NameParams, Page, TaskDocument, TasksQuery } from '../../../shared/api.ts'
import { BerthError } from '../../../shared/errors.ts'
import { isPast } from '../../decide/task-facts.ts'
import type { Task, World } from '../../world.ts'
import type { RouteParts } from '../api.ts'
import { page } from '../paging.ts'
import { findTask, viewTask } from '../view-task.ts'
import { nodeNamed } from './nodes.ts'
import { serviceNamed } from './services.ts'
import { stackNamed } from './stacks.ts'

export function taskRoutes(api: FastifyInstance, { core }: RouteParts): void {
  const list = {
    summary: 'Tasks; those that were stopped only with all=true',
    querystring: TasksQuery,
    response: { 200: Page(TaskDocument) },
  }
  api.get<{ Querystring: TasksQuery }>('/v1/tasks', { schema: list }, ({ query }) =>
    page(tasksAskedFor(core.world, query), query, sortKey, (task) => viewTask(core.world, task)),
  )

  const one = { summary: 'One task, by id or by name', params: NameParams, response: { 200: TaskDocument } }
  api.get<{ Params: { name: string } }>('/v1/tasks/:name', { schema: one }, ({ params }) =>
    viewTask(core.world, taskNamed(core.world, params.name)),
  )
}

export function taskNamed(world: World, name: string): Task {
  const task = findTask(world, name)
  if (task) return task
  throw new BerthError('task-not-found', `there is no task ${name}; \`berth ps\` lists them`, {
    details: { task: name },
  })
}

function* tasksAskedFor(world: World, query: TasksQuery): Iterable<Task> {
  if (query.stack !== undefined) stackNamed(world, query.stack)
  if (query.service !== undefined) serviceNamed(world, query.service)
  if (query.node !== undefined) nodeNamed(world, query.node)
  for (const task of candidates(world, query)) {
    if (query.all !== true && isPast(task)) continue
    if (query.service !== undefined && task.service !== query.service) continue
    if (query.node !== undefined && task.node !== query.node) continue
    if (query.stack !== undefined && world.services.get(task.service)?.stack !== query.stack) continue
    yield task
  }
}

/** The smallest set that holds all that was asked for. */
function candidates(world: World, { service, node }: TasksQuery): Iterable<Task> {
  if (service !== undefined) return world.tasksByService.get(service) ?? []
  if (node !== undefined) return world.tasksByNode.get(node) ?? []
  return world.tasks.values()
}

/** By service, then slot as a number, then id. */
function sortKey(task: Task): string {
  return `${task.service} ${String(task.slot).padStart(7, '0')} ${task.id}`
}
