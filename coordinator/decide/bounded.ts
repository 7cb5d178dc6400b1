/**
 * A beat looks at so many tasks and no more, and what is left waits for the next one: between two beats the agents are heard and
 * operators answered. A service is looked at whole, so a beat may go beyond the bound by one service.
 */
import type { Service, ServiceName, World } from '../world.ts'
import { priorityOf } from './priority.ts'
import { wantedVersionOf } from './service-facts.ts'

/**
 * Those of `names` that are looked at in this beat, and the others. Of higher priority comes first, since who is placed first has
 * the room; then whoever stands first, so that nobody who was left before waits for ever.
 */
export function withinBound(
  world: World,
  names: ReadonlySet<ServiceName>,
  tasksMax: number,
): { chosen: Iterable<ServiceName>; left: ServiceName[]; tasks: number } {
  if (tasksMax === Number.POSITIVE_INFINITY) return { chosen: names, left: [], tasks: 0 }
  const services = [...names].flatMap((name) => world.services.get(name) ?? [])
  const chosen: ServiceName[] = []
  const left: ServiceName[] = []
  let tasks = 0
  for (const service of services.sort((a, b) => priorityOf(b) - priorityOf(a))) {
    if (tasks < tasksMax) {
      chosen.push(service.name)
      tasks += sizeOf(world, service)
    } else left.push(service.name)
  }
  return { chosen, left, tasks }
}

/** What it has, and what it may get. */
function sizeOf(world: World, service: Service): number {
  const { mode } = wantedVersionOf(service).spec
  const wanted = mode.kind === 'replicated' ? mode.replicas : world.nodes.size
  const has = world.tasksByService.get(service.name)?.size ?? 0
  return 1 + has + NEW_TASK_SIZE * Math.max(0, wanted - has)
}

/** To make, place and store a task takes at least so many times as long as to look at one. */
const NEW_TASK_SIZE = 10
