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
import type { Kind } from '../store/tally.ts'
import type { Service, Stack, World } from '../world.ts'
import { addCounts, countKinds, isCurrent, type Look, lookAt, noTasks, tasksOf } from './counts.ts'
import { heldBy, outcomeOf, serviceStage, servicesOf } from './progress.ts'
import { waitReasons } from './refusal-words.ts'
import { isoTime } from './words.ts'

/** `look`: at its tasks as they count, for whoever has had it. */
export function viewService(
  world: World,
  service: Service,
  look: Look = lookAt(tasksOf(world, service.name)),
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
    counts: countKinds(service, look.kinds),
    rollout: viewRollout(service, look.kinds),
    heldBy: heldBy(service),
    waits: waitReasons(look.waiting),
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
  const { kinds } = lookAt(tasksOf(world, service.name))
  const counts = countKinds(service, kinds)
  return { name: service.name, counts, stage: serviceStage(world, service, kinds, counts) }
}

function viewRollout(service: Service, kinds: Kind[]): RolloutDocument {
  const { rollout } = service
  let done = 0
  for (const { like, count } of kinds) {
    if (like.desired === 'running' && isCurrent(service, like) && isUp(like)) done += count
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
