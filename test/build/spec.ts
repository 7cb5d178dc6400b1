/** Specs for tests: what does not matter is filled in. */
import type {
  Affinity,
  ContainerSpec,
  Dependency,
  Mode,
  Placement,
  Port,
  RestartPolicy,
  ServiceSpec,
  StackSpec,
  TaskSpec,
  UpdateConfig,
} from '../../shared/spec.ts'

export const MiB = 1024 * 1024
export const GiB = 1024 * MiB

export function aContainerSpec(given: Partial<ContainerSpec> = {}): ContainerSpec {
  return {
    image: 'example/web:1',
    pullPolicy: 'missing',
    environment: {},
    labels: {},
    mounts: [],
    ports: [],
    stopGraceMs: 10_000,
    resources: { reservation: { cpuCores: 0, memoryBytes: 0 }, limit: {} },
    ...given,
  }
}

export function aTaskSpec(
  given: { container?: Partial<ContainerSpec>; restart?: Partial<RestartPolicy> } = {},
): TaskSpec {
  return {
    container: aContainerSpec(given.container),
    restart: { condition: 'any', delayMs: 100, windowMs: 5_000, ...given.restart },
  }
}

export function anUpdateConfig(given: Partial<UpdateConfig> = {}): UpdateConfig {
  return {
    parallelism: 1,
    delayMs: 0,
    order: 'stop-first',
    failureAction: 'pause',
    monitorMs: 5_000,
    maxFailureRatio: 0,
    ...given,
  }
}

/** The shortcuts (`image`, `replicas`, `cpuCores`, …) reach into the nested parts, so that a test says only what matters. */
export type ServiceSpecGiven = {
  image?: string
  replicas?: number
  global?: boolean
  cpuCores?: number
  memoryBytes?: number
  diskBytes?: number
  generic?: Record<string, number>
  ports?: Port[]
  /** Named volumes, by source. */
  volumes?: string[]
  container?: Partial<ContainerSpec>
  restart?: Partial<RestartPolicy>
  placement?: Partial<Placement>
  update?: Partial<UpdateConfig>
  rollback?: Partial<UpdateConfig>
  dependsOn?: Record<string, Dependency['condition'] | Dependency>
  labels?: Record<string, string>
  priority?: number
  preemption?: ServiceSpec['preemption']
}

export function aServiceSpec(given: ServiceSpecGiven = {}): ServiceSpec {
  const mode: Mode = given.global ? { kind: 'global' } : { kind: 'replicated', replicas: given.replicas ?? 1 }
  return {
    task: aTaskSpec({
      container: {
        ...(given.image && { image: given.image }),
        ...(given.ports && { ports: given.ports }),
        ...(given.volumes && {
          mounts: given.volumes.map((source) => ({ type: 'volume', source, target: `/${source}`, readOnly: false })),
        }),
        resources: {
          reservation: {
            cpuCores: given.cpuCores ?? 0,
            memoryBytes: given.memoryBytes ?? 0,
            ...(given.diskBytes !== undefined && { diskBytes: given.diskBytes }),
            ...(given.generic && { generic: given.generic }),
          },
          limit: {},
        },
        ...given.container,
      },
      restart: given.restart,
    }),
    mode,
    placement: { constraints: [], spreadOver: [], ...given.placement },
    update: anUpdateConfig(given.update),
    rollback: anUpdateConfig(given.rollback),
    dependsOn: Object.fromEntries(
      Object.entries(given.dependsOn ?? {}).map(([name, condition]) => [
        name,
        typeof condition === 'string' ? { condition, required: true, restart: false } : condition,
      ]),
    ),
    labels: given.labels ?? {},
    ...(given.priority !== undefined && { priority: given.priority }),
    ...(given.preemption && { preemption: given.preemption }),
  }
}

export function aStackSpec(name: string, services: Record<string, ServiceSpecGiven>): StackSpec {
  return {
    name,
    services: Object.fromEntries(Object.entries(services).map(([short, given]) => [short, aServiceSpec(given)])),
  }
}

export function aPort(hostPort?: number, given: Partial<Port> = {}): Port {
  return { containerPort: 80, protocol: 'tcp', ...(hostPort !== undefined && { hostPort }), ...given }
}

/** Near a task of the service on the same node, unless told otherwise. */
export function anAffinity(service: string, given: Partial<Affinity> = {}): Affinity {
  return { service, over: 'node.name', anti: false, required: true, ...given }
}
