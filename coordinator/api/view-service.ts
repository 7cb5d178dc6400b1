/** Services and stacks of the world as documents of the API. */
import type {
  RolloutDocument,
  ServiceDetail,
  ServiceDocument,
  ServiceStage,
  StackDocument,
  TaskCounts,
} from '../../shared/api.ts'
import { isUp } from '../decide/task-facts.ts'
import type { Service, Stack, Task, World } from '../world.ts'
import { addCounts, countTasks, isCurrent, noTasks, tasksOf } from './counts.ts'
import { heldBy, outcomeOf, serviceStage, servicesOf } from './progress.ts'
import { waitReasons } from './refusal-words.ts'
import { isoTime } from './words.ts'

/** `tasks`: as they count, for whoever has them at hand. */
export function viewService(
  world: World,
  service: Service,
  tasks: Task[] = tasksOf(world, service.name),
): ServiceDocument {
  const spec = service.versions.get(service.version)?.spec
  return {
    name: service.name,
    stack: service.stack,
    shortName: service.shortName,
    image: spec?.task.container.image ?? '',
    mode: spec?.mode.kind ?? 'replicated',
    version: service.version,
    createdAt: isoTime(service.createdAt),
    removing: service.removing,
    counts: countTasks(service, tasks),
    rollout: viewRollout(service, tasks),
    heldBy: heldBy(service),
    waits: waitReasons(tasks),
    ports: (spec?.task.container.ports ?? []).map((port) => ({
      containerPort: port.containerPort,
      hostPort: port.hostPort ?? null,
      protocol: port.protocol,
    })),
  }
}

export function viewServiceDetail(world: World, service: Service): ServiceDetail | null {
  const wanted = service.versions.get(service.version)
  if (!wanted) return null
  return {
    ...viewService(world, service),
    spec: wanted.spec,
    versions: [...service.versions.values()].map((version) => ({
      version: version.version,
      createdAt: isoTime(version.createdAt),
      image: version.spec.task.container.image,
    })),
  }
}

/** What a stack's document says of each of its services. */
export type ServiceSummary = { name: string; counts: TaskCounts; stage: ServiceStage }

/** `services`: the stack's, for whoever has looked at them already. */
export function viewStack(
  world: World,
  stack: Stack,
  services: ServiceSummary[] = servicesOf(world, stack.name).map((service) => summaryOf(world, service)),
): StackDocument {
  const counts = noTasks()
  for (const service of services) addCounts(counts, service.counts)
  return {
    name: stack.name,
    deployment: stack.deployment,
    deployedAt: isoTime(stack.deployedAt),
    services: services.map((service) => service.name).sort(),
    counts,
    outcome: outcomeOf(services),
  }
}

function summaryOf(world: World, service: Service): ServiceSummary {
  const tasks = tasksOf(world, service.name)
  const counts = countTasks(service, tasks)
  return { name: service.name, counts, stage: serviceStage(world, service, tasks, counts) }
}

function viewRollout(service: Service, tasks: Task[]): RolloutDocument {
  const { rollout } = service
  let done = 0
  for (const task of tasks) {
    if (task.desired === 'running' && isCurrent(service, task) && isUp(task)) done += 1
  }
  return {
    state: rollout.state,
    version: rollout.version,
    why: 'why' in rollout ? rollout.why : null,
    done,
    failures: ('failures' in rollout ? rollout.failures : []).map((failure) => ({
      ...failure,
      at: isoTime(failure.at),
    })),
  }
}
