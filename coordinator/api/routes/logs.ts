/** Log lines of a stack, a service or a task, as newline-delimited JSON: the cheapest form for very many lines. */
import type { FastifyInstance } from 'fastify'
import { LogsQuery } from '../../../shared/api.ts'
import { BerthError } from '../../../shared/errors.ts'
import type { Task, World } from '../../world.ts'
import type { RouteParts } from '../api.ts'
import { servicesOf } from '../progress.ts'
import type { Stream } from '../stream.ts'
import { isPast, taskName } from '../view-task.ts'
import { serviceNamed } from './services.ts'
import { stackNamed } from './stacks.ts'
import { taskNamed } from './tasks.ts'

export function logRoutes(api: FastifyInstance, { core, logs, streams }: RouteParts): void {
  const schema = { summary: 'Log lines, newline-delimited JSON', querystring: LogsQuery }
  api.get<{ Querystring: LogsQuery }>('/v1/logs', { schema }, async ({ query }, reply) => {
    const tasks = tasksOnNodes(tasksAskedFor(core.world, query))
    const names = Object.fromEntries(tasks.map(({ task, name }) => [task, name]))
    const stream = streams.open(reply, 'application/x-ndjson')
    stream.write(`${JSON.stringify({ tasks: names })}\n`)
    try {
      const batches = logs.read({
        tasks: tasks.map(({ task, node }) => ({ task, node })),
        ...(query.tail === undefined ? {} : { tailLines: query.tail }),
        ...(query.since === undefined ? {} : { since: query.since }),
        follow: query.follow ?? false,
        signal: stream.signal,
      })
      for await (const batch of batches) await writeBatch(stream, batch)
    } catch (error) {
      if (!stream.signal.aborted) stream.write(`${JSON.stringify({ error: sentence(error) })}\n`)
    }
    stream.end()
  })
}

async function writeBatch(
  stream: Stream,
  { lines, dropped, missingNodes }: { lines: object[]; dropped: number; missingNodes: string[] },
): Promise<void> {
  let text = ''
  for (const line of lines) text += `${JSON.stringify(line)}\n`
  if (dropped > 0) text += `${JSON.stringify({ dropped })}\n`
  if (missingNodes.length > 0) text += `${JSON.stringify({ missingNodes })}\n`
  // Waiting here holds the reader back, and it the agents: nothing piles up for a slow client.
  if (text !== '' && !stream.write(text)) await stream.drained()
}

function tasksAskedFor(world: World, { stack, service, task }: LogsQuery): Task[] {
  if ([stack, service, task].filter((name) => name !== undefined).length !== 1) {
    throw new BerthError('invalid-request', 'give one of stack, service and task')
  }
  if (task !== undefined) return [taskNamed(world, task)]
  if (service !== undefined) {
    return [...(world.tasksByService.get(serviceNamed(world, service).name) ?? [])].filter((each) => !isPast(each))
  }
  stackNamed(world, stack ?? '')
  return servicesOf(world, stack ?? '')
    .flatMap((each) => [...(world.tasksByService.get(each.name) ?? [])])
    .filter((each) => !isPast(each))
}

function tasksOnNodes(tasks: Task[]): { task: string; node: string; name: string }[] {
  return tasks.flatMap((task) => (task.node === null ? [] : [{ task: task.id, node: task.node, name: taskName(task) }]))
}

function sentence(error: unknown): string {
  return error instanceof BerthError ? error.message : "the log stream broke off; the coordinator's log says why"
}
