/** Whose lines a reader of logs wants, by what it asked for: at first, and while it follows. */
import type { LogsBody } from '../../shared/api.ts'
import { BerthError } from '../../shared/errors.ts'
import type { Core, LogReader, LogTarget } from '../core.ts'
import { isPast } from '../decide/task-facts.ts'
import type { Task, World } from '../world.ts'
import { servicesOf } from './progress.ts'
import { serviceNamed } from './routes/services.ts'
import { stackNamed } from './routes/stacks.ts'
import { taskNamed } from './routes/tasks.ts'
import { taskName } from './view-task.ts'

export type NamedTarget = LogTarget & { name: string }

/** Beats come faster than anybody needs to hear of a new task. */
const LOOK_INTERVAL_MS = 100

/**
 * Those that may write lines, and those of which lines are kept.
 * @throws BerthError when what is asked for is not there and has left no lines
 */
export function firstTargets(world: World, asked: LogsBody, logs: LogReader): NamedTarget[] {
  const { stack, service, task, from } = asked
  if ([stack, service, task].filter((name) => name !== undefined).length !== 1) {
    throw new BerthError('invalid-request', 'give one of stack, service and task')
  }
  const gone = goneTargets(world, asked, logs)
  const present = () => {
    // One that is over is read when it is asked for by its own name.
    if (task !== undefined) return placed([taskNamed(world, task)], from)
    if (service !== undefined) serviceNamed(world, service)
    else stackNamed(world, stack ?? '')
    return placed(living(world, asked) ?? [], from)
  }
  let targets: NamedTarget[] = []
  try {
    targets = present()
  } catch (error) {
    if (gone.length === 0) throw error
  }
  const known = new Set(targets.map((target) => target.task))
  // Who comes back has had their past.
  return from === undefined ? [...targets, ...gone.filter((each) => !known.has(each.task))] : targets
}

/** Tasks that have gone, of which lines are kept. A stack that has gone is known by its services' names. */
function goneTargets(world: World, { stack, service, task }: LogsBody, logs: LogReader): NamedTarget[] {
  const services = logs.services?.() ?? []
  const isWanted = (name: string) => {
    if (service !== undefined) return name === service
    if (stack === undefined) return true
    return (
      (world.services.get(name)?.stack ?? null) === stack || (!world.services.has(name) && name.startsWith(`${stack}_`))
    )
  }
  const named = logs.known?.({ services: services.filter(isWanted), ...(task !== undefined && { task }) }) ?? []
  // Nothing is to come from where they were.
  return named.map(({ task, name }) => ({ task, node: '', name }))
}

/** For `LogReader.read`. `tell` hears of each task that joins, before its lines come. */
export function watchTargets(
  core: Core,
  asked: LogsBody,
  first: NamedTarget[],
  tell: (joined: NamedTarget[]) => void,
): NonNullable<Parameters<LogReader['read']>[0]['watch']> {
  const known = new Set(first.map(({ task }) => task))
  const ofTask = asked.task === undefined ? undefined : serviceOf(core.world, asked.task)
  return (targetsAre) => {
    let before: string | null = keyOf(first)
    let timer: NodeJS.Timeout | undefined
    const look = () => {
      timer = undefined
      const tasks = living(core.world, asked, ofTask)
      const targets = tasks && placed(tasks, undefined)
      const key = targets && keyOf(targets)
      if (key === before) return
      before = key
      const joined = targets?.filter(({ task }) => !known.has(task)) ?? []
      for (const { task } of joined) known.add(task)
      if (joined.length > 0) tell(joined)
      targetsAre(targets)
    }
    const stop = core.onBeat(() => {
      timer ??= setTimeout(look, LOOK_INTERVAL_MS)
    })
    timer = setTimeout(look, 0)
    return () => {
      stop()
      clearTimeout(timer)
    }
  }
}

/**
 * The tasks that may write lines; null: none will come any more. A task's name stands for its slot, which its successor has,
 * too; `ofTask` is its service.
 */
function living(world: World, { stack, service, task }: LogsBody, ofTask?: string): Task[] | null {
  if (service !== undefined) return world.services.has(service) ? livingOf(world, service) : null
  if (stack !== undefined) {
    const services = servicesOf(world, stack)
    if (services.length === 0 && !world.stacks.has(stack)) return null
    return services.flatMap(({ name }) => livingOf(world, name))
  }
  const named = livingOf(world, ofTask ?? '').filter((each) => each.id === task || taskName(each) === task)
  return named.length > 0 ? named : null
}

/** Undefined: it has gone. */
function serviceOf(world: World, task: string): string | undefined {
  try {
    return taskNamed(world, task).service
  } catch {
    return undefined
  }
}

function livingOf(world: World, service: string): Task[] {
  return [...(world.tasksByService.get(service) ?? [])].filter((task) => !isPast(task))
}

function placed(tasks: Task[], from: LogsBody['from']): NamedTarget[] {
  const positions = from && new Map(Object.entries(from))
  return tasks.flatMap((task) => {
    if (task.node === null) return []
    const after = positions?.get(task.id)
    const target = { task: task.id, node: task.node, name: taskName(task) }
    if (positions === undefined) return [target]
    return [after === undefined ? { ...target, isNew: true } : { ...target, after }]
  })
}

function keyOf(targets: LogTarget[]): string {
  return targets
    .map(({ task }) => task)
    .sort()
    .join('\n')
}
