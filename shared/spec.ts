/**
 * What users ask for, after Compose has been read: every default filled in, every unit explicit, no choices left.
 * The schemas are the single source of the types, of the API's checks and of its documentation.
 */
import { createHash } from 'node:crypto'
import { NAME_PATTERN, STACK_NAME_PATTERN } from './names.ts'
import Type, { type Static } from './schema.ts'

const Strings = Type.Array(Type.String({ maxLength: 32_768 }), { maxItems: 1024 })
const StringMap = Type.Record(Type.String({ maxLength: 1024 }), Type.String({ maxLength: 131_072 }))
const Count = Type.Integer({ minimum: 0 })

export const Port = Type.Object(
  {
    containerPort: Type.Integer({ minimum: 1, maximum: 65_535 }),
    /** Absent: the Engine picks a free one. */
    hostPort: Type.Optional(Type.Integer({ minimum: 1, maximum: 65_535 })),
    hostIp: Type.Optional(Type.String()),
    protocol: Type.Union([Type.Literal('tcp'), Type.Literal('udp'), Type.Literal('sctp')]),
  },
  { additionalProperties: false },
)
export type Port = Static<typeof Port>

export const Mount = Type.Union([
  Type.Object(
    {
      type: Type.Literal('volume'),
      /** Absent: an anonymous volume, removed with its container. */
      source: Type.Optional(Type.String()),
      target: Type.String(),
      readOnly: Type.Boolean(),
      noCopy: Type.Optional(Type.Boolean()),
      driver: Type.Optional(Type.String()),
      driverOptions: Type.Optional(StringMap),
      labels: Type.Optional(StringMap),
      /** An external volume must exist on the node already; Berth neither makes nor removes it. */
      external: Type.Optional(Type.Boolean()),
    },
    { additionalProperties: false },
  ),
  Type.Object(
    {
      type: Type.Literal('bind'),
      source: Type.String(),
      target: Type.String(),
      readOnly: Type.Boolean(),
      propagation: Type.Optional(Type.String()),
      createHostPath: Type.Optional(Type.Boolean()),
    },
    { additionalProperties: false },
  ),
  Type.Object(
    {
      type: Type.Literal('tmpfs'),
      target: Type.String(),
      sizeBytes: Type.Optional(Count),
      mode: Type.Optional(Count),
    },
    { additionalProperties: false },
  ),
])
export type Mount = Static<typeof Mount>

export const Healthcheck = Type.Union([
  Type.Object({ disabled: Type.Literal(true) }, { additionalProperties: false }),
  Type.Object(
    {
      /** As the Engine takes it: `['CMD', …]` or `['CMD-SHELL', line]`. Absent: the image's own test with these timings. */
      test: Type.Optional(Strings),
      intervalMs: Type.Optional(Count),
      timeoutMs: Type.Optional(Count),
      startPeriodMs: Type.Optional(Count),
      startIntervalMs: Type.Optional(Count),
      retries: Type.Optional(Count),
    },
    { additionalProperties: false },
  ),
])
export type Healthcheck = Static<typeof Healthcheck>

const Milliseconds = Type.Integer({ minimum: 1, maximum: 86_400_000 })

/**
 * A health test that the agent makes from outside, without a process in the container. Its timings mean what those of a
 * Compose healthcheck mean; every one is filled in.
 */
export const HealthProbe = Type.Object(
  {
    test: Type.Union([
      Type.Object(
        {
          kind: Type.Literal('http'),
          path: Type.String({ maxLength: 4096 }),
          /** https: whatever certificate the container shows. */
          scheme: Type.Union([Type.Literal('http'), Type.Literal('https')]),
          /** The one status that is healthy; absent: any from 200 to 399. */
          status: Type.Optional(Type.Integer({ minimum: 100, maximum: 599 })),
          /** The Host header; absent: the address that is asked. */
          host: Type.Optional(Type.String({ maxLength: 255 })),
        },
        { additionalProperties: false },
      ),
      Type.Object({ kind: Type.Literal('tcp') }, { additionalProperties: false }),
      Type.Object(
        {
          kind: Type.Literal('grpc'),
          /** As grpc.health.v1.Health/Check takes it; empty: the server as a whole. */
          service: Type.String({ maxLength: 1024 }),
        },
        { additionalProperties: false },
      ),
    ]),
    /** The container's own port. */
    port: Type.Integer({ minimum: 1, maximum: 65_535 }),
    intervalMs: Milliseconds,
    timeoutMs: Milliseconds,
    /** Failures in a row that make it unhealthy. */
    retries: Type.Integer({ minimum: 1, maximum: 1000 }),
    /** From the start of the container: failures do not count in this time, before the first success. */
    startPeriodMs: Type.Integer({ minimum: 0, maximum: 86_400_000 }),
    /** Between two probes in the start period. */
    startIntervalMs: Milliseconds,
  },
  { additionalProperties: false },
)
export type HealthProbe = Static<typeof HealthProbe>

/** How many of each countable thing, by its name. */
export const GenericResources = Type.Record(
  Type.String({ maxLength: 128 }),
  Type.Integer({ minimum: 0, maximum: 1_000_000 }),
)
export type GenericResources = Static<typeof GenericResources>

export const Resources = Type.Object(
  {
    /** What a task is promised. Zero: nothing is promised. */
    reservation: Type.Object(
      {
        cpuCores: Type.Number({ minimum: 0 }),
        memoryBytes: Count,
        diskBytes: Type.Optional(Count),
        /** Countable things that nodes are said to have, by name: `{ gpu: 1 }`. */
        generic: Type.Optional(GenericResources),
      },
      { additionalProperties: false },
    ),
    /** What a task may not exceed. Absent: no limit. */
    limit: Type.Object(
      {
        cpuCores: Type.Optional(Type.Number({ minimum: 0 })),
        memoryBytes: Type.Optional(Count),
        pids: Type.Optional(Type.Integer()),
        memorySwapBytes: Type.Optional(Type.Integer()),
      },
      { additionalProperties: false },
    ),
  },
  { additionalProperties: false },
)
export type Resources = Static<typeof Resources>

/**
 * Devices that a driver of the Engine hands out, as GPUs. Of the node's resource that bears the name of the first
 * capability the task is promised `count` (or as many as it names by `deviceIds`).
 */
export const DeviceRequest = Type.Object(
  {
    driver: Type.Optional(Type.String({ maxLength: 128 })),
    /** How many; -1: all of the node. Absent where `deviceIds` names them. */
    count: Type.Optional(Type.Integer({ minimum: -1, maximum: 1_000_000 })),
    deviceIds: Type.Optional(Strings),
    capabilities: Type.Array(Type.String({ maxLength: 128 }), { minItems: 1, maxItems: 64 }),
    options: Type.Optional(StringMap),
  },
  { additionalProperties: false },
)
export type DeviceRequest = Static<typeof DeviceRequest>

export const ContainerSpec = Type.Object(
  {
    image: Type.String({ minLength: 1, maxLength: 1024 }),
    pullPolicy: Type.Union([Type.Literal('missing'), Type.Literal('always'), Type.Literal('never')]),
    platform: Type.Optional(Type.String()),
    command: Type.Optional(Strings),
    entrypoint: Type.Optional(Strings),
    environment: StringMap,
    /** The user's container labels; Berth's own are added by the agent. */
    labels: StringMap,
    user: Type.Optional(Type.String()),
    groupAdd: Type.Optional(Strings),
    workingDir: Type.Optional(Type.String()),
    hostname: Type.Optional(Type.String()),
    domainname: Type.Optional(Type.String()),
    dns: Type.Optional(Strings),
    dnsSearch: Type.Optional(Strings),
    dnsOptions: Type.Optional(Strings),
    /** `host:address` each. */
    extraHosts: Type.Optional(Strings),
    capAdd: Type.Optional(Strings),
    capDrop: Type.Optional(Strings),
    privileged: Type.Optional(Type.Boolean()),
    securityOpt: Type.Optional(Strings),
    readOnly: Type.Optional(Type.Boolean()),
    init: Type.Optional(Type.Boolean()),
    tty: Type.Optional(Type.Boolean()),
    stdinOpen: Type.Optional(Type.Boolean()),
    mounts: Type.Array(Mount, { maxItems: 256 }),
    ports: Type.Array(Port, { maxItems: 1024 }),
    ulimits: Type.Optional(
      Type.Record(
        Type.String(),
        Type.Object({ soft: Type.Integer(), hard: Type.Integer() }, { additionalProperties: false }),
      ),
    ),
    sysctls: Type.Optional(StringMap),
    devices: Type.Optional(
      Type.Array(
        Type.Object(
          { hostPath: Type.String(), containerPath: Type.String(), permissions: Type.String() },
          { additionalProperties: false },
        ),
        { maxItems: 256 },
      ),
    ),
    deviceRequests: Type.Optional(Type.Array(DeviceRequest, { maxItems: 64 })),
    networkMode: Type.Optional(Type.Union([Type.Literal('bridge'), Type.Literal('host'), Type.Literal('none')])),
    pidMode: Type.Optional(Type.String()),
    ipcMode: Type.Optional(Type.String()),
    shmSizeBytes: Type.Optional(Count),
    cpuShares: Type.Optional(Count),
    cpusetCpus: Type.Optional(Type.String()),
    memorySwappiness: Type.Optional(Count),
    oomScoreAdj: Type.Optional(Type.Integer()),
    oomKillDisable: Type.Optional(Type.Boolean()),
    runtime: Type.Optional(Type.String()),
    stopGraceMs: Count,
    stopSignal: Type.Optional(Type.String()),
    logging: Type.Optional(Type.Object({ driver: Type.String(), options: StringMap }, { additionalProperties: false })),
    healthcheck: Type.Optional(Healthcheck),
    /** Instead of a healthcheck, also of the image's own. */
    probe: Type.Optional(HealthProbe),
    resources: Resources,
  },
  { additionalProperties: false },
)
export type ContainerSpec = Static<typeof ContainerSpec>

/** Whether it has a health test of its own, from within or from outside; its image may have one all the same. */
export function saysHealth({ healthcheck, probe }: ContainerSpec): boolean {
  return probe !== undefined || (healthcheck !== undefined && !('disabled' in healthcheck))
}

export const RestartPolicy = Type.Object(
  {
    condition: Type.Union([Type.Literal('any'), Type.Literal('on-failure'), Type.Literal('none')]),
    /** Wait before the first restart; the agent backs off from there when a container keeps dying young. */
    delayMs: Count,
    /** Absent: for ever. */
    maxAttempts: Type.Optional(Count),
    /** A container that lived this long counts as started: its attempts begin anew. */
    windowMs: Count,
  },
  { additionalProperties: false },
)
export type RestartPolicy = Static<typeof RestartPolicy>

/** How often its containers are sampled: while something is wrong or new with one, and while it is calm. */
export const SAMPLING_MS = { min: 1_000, max: 60_000 }
const SamplingMs = Type.Integer({ minimum: SAMPLING_MS.min, maximum: SAMPLING_MS.max })
export const Sampling = Type.Object({ fullMs: SamplingMs, calmMs: SamplingMs }, { additionalProperties: false })
export type Sampling = Static<typeof Sampling>
/** Where a service says nothing, or only one of the two. */
export const SAMPLING_DEFAULTS: Sampling = { fullMs: 1_000, calmMs: 10_000 }

/** All that an agent needs to run a task: what a service's version says of each of its tasks. */
export const TaskSpec = Type.Object(
  {
    container: ContainerSpec,
    restart: RestartPolicy,
    /** Absent: SAMPLING_DEFAULTS. */
    sampling: Type.Optional(Sampling),
  },
  { additionalProperties: false },
)
export type TaskSpec = Static<typeof TaskSpec>

export const UpdateConfig = Type.Object(
  {
    /** 0: all at once. */
    parallelism: Count,
    delayMs: Count,
    order: Type.Union([Type.Literal('stop-first'), Type.Literal('start-first')]),
    failureAction: Type.Union([Type.Literal('pause'), Type.Literal('continue'), Type.Literal('rollback')]),
    /** How long a new task must stay up before it counts as good. */
    monitorMs: Count,
    maxFailureRatio: Type.Number({ minimum: 0, maximum: 1 }),
  },
  { additionalProperties: false },
)
export type UpdateConfig = Static<typeof UpdateConfig>

export const Mode = Type.Union([
  Type.Object(
    { kind: Type.Literal('replicated'), replicas: Type.Integer({ minimum: 0, maximum: 1_000_000 }) },
    { additionalProperties: false },
  ),
  Type.Object({ kind: Type.Literal('global') }, { additionalProperties: false }),
])
export type Mode = Static<typeof Mode>

export const CONSTRAINT_OPERATORS = ['==', '!=', 'in', 'not-in', 'exists', 'not-exists', '<', '<=', '>', '>='] as const
export type ConstraintOperator = (typeof CONSTRAINT_OPERATORS)[number]

/**
 * `node.labels.disk == ssd`, taken apart. `attribute`: `node.name`, `node.id`, `node.hostname`, `node.role`,
 * `node.platform.os`, `node.platform.arch`, `node.labels.X`, `engine.labels.X`. An attribute that a node does not have
 * meets `!=`, `not-in` and `not-exists` only.
 */
export const Constraint = Type.Object(
  {
    attribute: Type.String(),
    operator: Type.Enum([...CONSTRAINT_OPERATORS]),
    /** Empty where the operator takes none or several. Of `<`, `<=`, `>`, `>=`: a decimal number. */
    value: Type.String(),
    /** Of `in` and `not-in`. */
    values: Type.Optional(Type.Array(Type.String(), { maxItems: 256 })),
  },
  { additionalProperties: false },
)
export type Constraint = Static<typeof Constraint>

/** How tasks are placed where the choice is free; each is a file in coordinator/decide/policies/. */
export const POLICY_NAMES = ['first-fit', 'binpack', 'spread', 'least-loaded'] as const
export const PolicyName = Type.Enum([...POLICY_NAMES])
export type PolicyName = Static<typeof PolicyName>

/** What a taint does to tasks that do not tolerate it: none are placed; none if there is another node; those there leave, too. */
export const TAINT_EFFECTS = ['no-schedule', 'prefer-no-schedule', 'no-execute'] as const
export const TaintEffect = Type.Enum([...TAINT_EFFECTS])
export type TaintEffect = Static<typeof TaintEffect>

/** What keeps tasks off a node unless they tolerate it. */
export const Taint = Type.Object(
  { key: Type.String({ maxLength: 256 }), value: Type.String({ maxLength: 1024 }), effect: TaintEffect },
  { additionalProperties: false },
)
export type Taint = Static<typeof Taint>

/** Which taints a task puts up with: those of the key (and the value, with `==`), of one effect or (absent) of any. */
export const Toleration = Type.Object(
  {
    key: Type.String({ maxLength: 256 }),
    operator: Type.Union([Type.Literal('exists'), Type.Literal('==')]),
    value: Type.Optional(Type.String({ maxLength: 1024 })),
    effect: Type.Optional(TaintEffect),
  },
  { additionalProperties: false },
)
export type Toleration = Static<typeof Toleration>

/** Near to tasks of a service, or away from them (`anti`). */
export const Affinity = Type.Object(
  {
    /** Its full name, or its name within the stack. It may be the service itself. */
    service: Type.String({ maxLength: 256 }),
    /** Attribute (as in Constraint) whose value nodes share that count as one place; `node.name`: the same node. */
    over: Type.String({ maxLength: 256 }),
    anti: Type.Boolean(),
    /** False: only if there is a choice. */
    required: Type.Boolean(),
  },
  { additionalProperties: false },
)
export type Affinity = Static<typeof Affinity>

export const Placement = Type.Object(
  {
    constraints: Type.Array(Constraint, { maxItems: 64 }),
    /** Attributes (as in Constraint) over whose values tasks are evened out, most important first. */
    spreadOver: Type.Array(Type.String(), { maxItems: 16 }),
    maxPerNode: Type.Optional(Type.Integer({ minimum: 1 })),
    /** Absent: the cluster's. */
    policy: Type.Optional(PolicyName),
    tolerations: Type.Optional(Type.Array(Toleration, { maxItems: 64 })),
    affinity: Type.Optional(Type.Array(Affinity, { maxItems: 64 })),
  },
  { additionalProperties: false },
)
export type Placement = Static<typeof Placement>

/** The named priorities of Compose files; a service may also name any whole number from 0 to 100. */
export const PRIORITY_CLASSES = { system: 100, high: 75, normal: 50, low: 25, 'best-effort': 0 } as const
export const PRIORITY_DEFAULT = PRIORITY_CLASSES.normal

export const Dependency = Type.Object(
  {
    condition: Type.Union([
      Type.Literal('service_started'),
      Type.Literal('service_healthy'),
      Type.Literal('service_completed_successfully'),
    ]),
    /** False: a missing or failed dependency is only warned about. */
    required: Type.Boolean(),
    /** Restart this service's tasks when the dependency is replaced. */
    restart: Type.Boolean(),
  },
  { additionalProperties: false },
)
export type Dependency = Static<typeof Dependency>

export const ServiceSpec = Type.Object(
  {
    task: TaskSpec,
    mode: Mode,
    placement: Placement,
    update: UpdateConfig,
    rollback: UpdateConfig,
    /** By the depended-on service's name within the stack. */
    dependsOn: Type.Record(Type.String(), Dependency),
    /** Of two services that want the same room the higher one gets it. Absent: PRIORITY_DEFAULT. */
    priority: Type.Optional(Type.Integer({ minimum: 0, maximum: 100 })),
    /** How many of its tasks may be preempted at one time by services of higher priority; absent: all of them. */
    preemption: Type.Optional(Type.Object({ tasksMax: Count }, { additionalProperties: false })),
    /** Labels of the service itself (Compose's deploy.labels), not of its containers. */
    labels: StringMap,
  },
  { additionalProperties: false },
)
export type ServiceSpec = Static<typeof ServiceSpec>

export const StackSpec = Type.Object(
  {
    name: Type.String({ pattern: STACK_NAME_PATTERN }),
    /** By the service's name within the stack. */
    services: Type.Record(Type.String({ pattern: NAME_PATTERN }), ServiceSpec, { additionalProperties: false }),
  },
  { additionalProperties: false },
)
export type StackSpec = Static<typeof StackSpec>

/** The hash that the label `berth.spec` carries: equal specs hash equally whatever the order of their keys. 32 hex digits. */
export function specHash(spec: TaskSpec): string {
  return createHash('sha256').update(canonicalJson(spec)).digest('hex').slice(0, 32)
}

/** JSON with sorted keys and without undefined members, so that equal values have equal texts. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, member) =>
    member !== null && typeof member === 'object' && !Array.isArray(member)
      ? Object.fromEntries(Object.entries(member).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)))
      : member,
  )
}
