/** Services and stacks of the world as documents of the API. */
import type { RolloutDocument, ServiceDetail, ServiceDocument, StackDocument } from '../../shared/api.ts'
import { isUp } from '../decide/task-facts.ts'
import type { Service, Stack, World } from '../world.ts'
import { addCounts, countTasks, isCurrent, noTasks, tasksOf } from './counts.ts'
import { heldBy, servicesOf, stackProgress } from './progress.ts'
import { waitReasons } from './refusal-words.ts'
import { isoTime } from './words.ts'

export function viewService(world: World, service: Service): ServiceDocument {
  const tasks = tasksOf(world, service.name)
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
    rollout: viewRollout(world, service),
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

export function viewStack(world: World, stack: Stack): StackDocument {
  const services = servicesOf(world, stack.name)
  const counts = noTasks()
  for (const service of services) addCounts(counts, countTasks(service, tasksOf(world, service.name)))
  return {
    name: stack.name,
    deployment: stack.deployment,
    deployedAt: isoTime(stack.deployedAt),
    services: services.map((service) => service.name).sort(),
    counts,
    outcome: stackProgress(world, stack.name)?.outcome ?? 'gone',
  }
}

function viewRollout(world: World, service: Service): RolloutDocument {
  const { rollout } = service
  let done = 0
  for (const task of tasksOf(world, service.name)) {
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
