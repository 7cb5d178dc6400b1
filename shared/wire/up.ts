/** What an agent says to the coordinator. One union; checked once at the door. */
import { ContainerLoad, HostLoad } from '../load.ts'
import Type, { type Static } from '../schema.ts'
import { GenericResources } from '../spec.ts'
import { HEALTH_STATES, type Health, TASK_STATES, type TaskState } from '../task-state.ts'
import { DEVICES_MAX, LAST_MINUTE_SAMPLES_MAX, LAST_MINUTES_MAX } from './bounds.ts'

const Name = Type.String({ minLength: 1, maxLength: 128 })
const Id = Type.String({ minLength: 1, maxLength: 256 })
const Text = Type.String({ maxLength: 4096 })
const Time = Type.Number({ minimum: 0 })
const Count = Type.Number({ minimum: 0 })
const Labels = Type.Record(Type.String({ maxLength: 256 }), Type.String({ maxLength: 1024 }))

export const EngineInfo = Type.Object({
  state: Type.Union([Type.Literal('up'), Type.Literal('down')]),
  /** Why it is down, for people. */
  message: Type.Optional(Text),
  version: Type.Optional(Type.String({ maxLength: 128 })),
  apiVersion: Type.Optional(Type.String({ maxLength: 32 })),
})
export type EngineInfo = Static<typeof EngineInfo>

export const NodeInventory = Type.Object({
  hostname: Type.String({ maxLength: 256 }),
  os: Type.String({ maxLength: 64 }),
  arch: Type.String({ maxLength: 64 }),
  kernel: Type.Optional(Type.String({ maxLength: 256 })),
  cpuCores: Type.Number({ minimum: 0 }),
  memoryBytes: Type.Number({ minimum: 0 }),
  /** Of the file system that holds the Engine's data; absent: not known. */
  diskBytes: Type.Optional(Type.Number({ minimum: 0 })),
  /** Countable things of this host that tasks may reserve, as GPUs; absent: none. */
  generic: Type.Optional(GenericResources),
  cpuModel: Type.Optional(Type.String({ maxLength: 256 })),
  addresses: Type.Array(Type.String({ maxLength: 64 }), { maxItems: 64 }),
  engineLabels: Labels,
})
export type NodeInventory = Static<typeof NodeInventory>

export const Hello = Type.Object({
  kind: Type.Literal('hello'),
  /** Newest and oldest wire version this agent speaks. */
  version: Type.Integer({ minimum: 1 }),
  versionMin: Type.Integer({ minimum: 1 }),
  node: Name,
  /** Random for each start of the agent process: tells a restarted agent from a second one of the same name. */
  instance: Id,
  agentVersion: Type.String({ maxLength: 64 }),
  inventory: NodeInventory,
  engine: EngineInfo,
  /** Labels that the agent was started with; `berth node label` adds to them at the coordinator. */
  labels: Labels,
  /** Revision of the assignment that the agent keeps on disk; 0: none. */
  revision: Type.Integer({ minimum: 0 }),
  /** The host's clock, to tell skew. */
  at: Time,
})
export type Hello = Static<typeof Hello>

/** The inventory is another one than the hello's, or than told last: the Engine came up and has told its labels. */
export const InventoryMessage = Type.Object({ kind: Type.Literal('inventory'), inventory: NodeInventory })
export type InventoryMessage = Static<typeof InventoryMessage>

export const TaskError = Type.Object({ code: Type.String({ maxLength: 64 }), message: Text })
export type TaskError = Static<typeof TaskError>

export const TaskObservation = Type.Object({
  task: Id,
  /** Hash of the spec that its container was made from. */
  spec: Type.String({ maxLength: 64 }),
  /** 1 for the first start. */
  attempt: Type.Integer({ minimum: 0 }),
  state: Type.Unsafe<TaskState>(Type.Union(TASK_STATES.map((state) => Type.Literal(state)))),
  /** When it entered this state, by the host's clock. */
  since: Time,
  health: Type.Optional(Type.Unsafe<Health>(Type.Union(HEALTH_STATES.map((health) => Type.Literal(health))))),
  /** Since when its health is what it is; for `healthy`: the first time in this attempt. */
  healthSince: Type.Optional(Time),
  /** Last output of the failing health test. */
  healthMessage: Type.Optional(Text),
  containerId: Type.Optional(Type.String({ maxLength: 128 })),
  /** Digest of the image that runs. */
  imageId: Type.Optional(Type.String({ maxLength: 256 })),
  exitCode: Type.Optional(Type.Integer()),
  oomKilled: Type.Optional(Type.Boolean()),
  /** How many of its runs ended because their Engine or host stopped, and so say nothing about the task; absent: none. */
  interruptions: Type.Optional(Type.Integer({ minimum: 0 })),
  /** How many of its runs failed in a row: ended soon after their start, became unhealthy, or did not come to run; absent: none. */
  failures: Type.Optional(Type.Integer({ minimum: 0 })),
  error: Type.Optional(TaskError),
  restartAt: Type.Optional(Time),
  /** Host ports as the Engine bound them. */
  ports: Type.Optional(
    Type.Array(
      Type.Object({
        containerPort: Type.Integer(),
        hostPort: Type.Integer(),
        protocol: Type.String({ maxLength: 8 }),
      }),
      { maxItems: 1024 },
    ),
  ),
})
export type TaskObservation = Static<typeof TaskObservation>

/** `full`: these are all the tasks this agent knows; else only the ones that changed since the message before. */
export const ObservationMessage = Type.Object({
  kind: Type.Literal('observation'),
  full: Type.Boolean(),
  /** Revision of the assignment that the agent acts on. */
  revision: Type.Integer({ minimum: 0 }),
  at: Time,
  engine: EngineInfo,
  tasks: Type.Array(TaskObservation, { maxItems: 20_000 }),
  /** Tasks of which nothing is left on this host: no container, no place in the assignment. */
  gone: Type.Array(Id, { maxItems: 20_000 }),
})
export type ObservationMessage = Static<typeof ObservationMessage>

export const Heartbeat = Type.Object({
  kind: Type.Literal('heartbeat'),
  sequence: Type.Integer({ minimum: 0 }),
  at: Time,
  revision: Type.Integer({ minimum: 0 }),
  load: HostLoad,
  /** Only containers whose load changed noticeably since they were last named. */
  containers: Type.Array(ContainerLoad, { maxItems: 20_000 }),
})
export type Heartbeat = Static<typeof Heartbeat>

/** Figures of one run of a task, oldest first; the three belong together by their place. */
export const LastMinute = Type.Object({
  task: Id,
  attempt: Type.Integer({ minimum: 0 }),
  /** By the host's clock. */
  at: Type.Array(Time, { maxItems: LAST_MINUTE_SAMPLES_MAX }),
  cpuCoresUsed: Type.Array(Type.Number({ minimum: 0 }), { maxItems: LAST_MINUTE_SAMPLES_MAX }),
  memoryBytesUsed: Type.Array(Type.Number({ minimum: 0 }), { maxItems: LAST_MINUTE_SAMPLES_MAX }),
})
export type LastMinute = Static<typeof LastMinute>

/** Comes before the observation that tells what went bad of these tasks: how it came to that, in steps of a second. */
export const LastMinutes = Type.Object({
  kind: Type.Literal('last-minutes'),
  tasks: Type.Array(LastMinute, { maxItems: LAST_MINUTES_MAX }),
})
export type LastMinutes = Static<typeof LastMinutes>

const Device = Type.String({ maxLength: 64 })
export const DiskDevice = Type.Object({ device: Device, readBytes: Count, writtenBytes: Count })
export type DiskDevice = Static<typeof DiskDevice>
export const NetworkDevice = Type.Object({ device: Device, receivedBytes: Count, sentBytes: Count })
export type NetworkDevice = Static<typeof NetworkDevice>

/** Of each device over which the host's load is counted: bytes since the host started, as its kernel counts them. */
export const Devices = Type.Object({
  kind: Type.Literal('devices'),
  disks: Type.Array(DiskDevice, { maxItems: DEVICES_MAX }),
  networks: Type.Array(NetworkDevice, { maxItems: DEVICES_MAX }),
})
export type Devices = Static<typeof Devices>

/** The change did not build on what the agent has: it needs the complete assignment. */
export const Resync = Type.Object({
  kind: Type.Literal('resync'),
  revision: Type.Integer({ minimum: 0 }),
  reason: Text,
})
export type Resync = Static<typeof Resync>

/** Something an operator should read in `berth events`, e.g. the Engine went away, a stale assignment was refused. */
export const Notice = Type.Object({
  kind: Type.Literal('notice'),
  at: Time,
  code: Type.String({ maxLength: 64 }),
  message: Text,
  task: Type.Optional(Id),
})
export type Notice = Static<typeof Notice>

export const LogLine = Type.Object({
  task: Id,
  /** As fine as the Engine wrote it, to about a quarter of a microsecond. */
  at: Time,
  source: Type.Union([Type.Literal('stdout'), Type.Literal('stderr')]),
  text: Type.String({ maxLength: 1_048_576 }),
})
export type LogLine = Static<typeof LogLine>

export const LogFailure = Type.Object({ task: Id, ...TaskError.properties })
export type LogFailure = Static<typeof LogFailure>

export const LogLines = Type.Object({
  kind: Type.Literal('log-lines'),
  stream: Id,
  lines: Type.Array(LogLine, { maxItems: 10_000 }),
  /** Lines left out since the message before because a queue was full. */
  dropped: Type.Integer({ minimum: 0 }),
  /** Tasks whose log cannot be read, and why; the stream goes on without them. */
  failures: Type.Optional(Type.Array(LogFailure, { maxItems: 256 })),
})
export type LogLines = Static<typeof LogLines>

/** No more lines will come in this stream from this agent. */
export const LogEnd = Type.Object({
  kind: Type.Literal('log-end'),
  stream: Id,
  error: Type.Optional(TaskError),
})
export type LogEnd = Static<typeof LogEnd>

/** The agent is about to send what these containers write: from where on? Answered by `log-places`. */
export const LogSources = Type.Object({
  kind: Type.Literal('log-sources'),
  sources: Type.Array(Type.Object({ container: Id, task: Id }), { maxItems: 20_000 }),
})
export type LogSources = Static<typeof LogSources>

/** All that had been written when `log-look` came is kept. */
export const LogLooked = Type.Object({ kind: Type.Literal('log-looked'), look: Type.Integer({ minimum: 0 }) })
export type LogLooked = Static<typeof LogLooked>

export const CertificateRequest = Type.Object({
  kind: Type.Literal('certificate-request'),
  /** PEM of the certificate signing request. */
  request: Type.String({ maxLength: 16_384 }),
})
export type CertificateRequest = Static<typeof CertificateRequest>

/** The agent stops on purpose (upgrade, `systemctl stop`); its containers go on. */
export const Goodbye = Type.Object({ kind: Type.Literal('goodbye'), reason: Text })
export type Goodbye = Static<typeof Goodbye>

export const UpMessage = Type.Union([
  Hello,
  InventoryMessage,
  ObservationMessage,
  Heartbeat,
  LastMinutes,
  Devices,
  Resync,
  Notice,
  LogLines,
  LogEnd,
  LogSources,
  LogLooked,
  CertificateRequest,
  Goodbye,
])
export type UpMessage = Static<typeof UpMessage>
