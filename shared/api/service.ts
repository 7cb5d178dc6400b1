/** Stacks, services, tasks and events as the API shows them. */
import { PaceReason } from '../load.ts'
import Type, { type Static } from '../schema.ts'
import { ServiceSpec } from '../spec.ts'
import { HEALTH_STATES, TASK_STATES } from '../task-state.ts'
import { Count, TaskCounts, Time, WaitReason } from './common.ts'

const OptionalText = Type.Union([Type.String(), Type.Null()])

export const RolloutDocument = Type.Object({
  state: Type.Union([
    Type.Literal('settled'),
    Type.Literal('rolling'),
    Type.Literal('paused'),
    Type.Literal('rolling-back'),
    Type.Literal('rolled-back'),
  ]),
  /** The version it goes to (or is at). */
  version: Count,
  why: OptionalText,
  /** Of the wanted tasks: at this version and good. */
  done: Count,
  failures: Type.Array(Type.Object({ task: Type.String(), node: Type.String(), at: Time, why: Type.String() })),
})
export type RolloutDocument = Static<typeof RolloutDocument>

export const DependencyWaitDocument = Type.Object({
  service: Type.String(),
  condition: Type.String(),
  now: Type.String(),
})
export type DependencyWaitDocument = Static<typeof DependencyWaitDocument>

export const ServiceDocument = Type.Object({
  name: Type.String(),
  stack: Type.String(),
  shortName: Type.String(),
  image: Type.String(),
  mode: Type.Union([Type.Literal('replicated'), Type.Literal('global')]),
  version: Count,
  createdAt: Time,
  removing: Type.Boolean(),
  counts: TaskCounts,
  rollout: RolloutDocument,
  /** Services that it waits for before its tasks are made. */
  heldBy: Type.Array(DependencyWaitDocument),
  /** Why tasks have no node yet. */
  waits: Type.Array(WaitReason),
  ports: Type.Array(
    Type.Object({ containerPort: Count, hostPort: Type.Union([Count, Type.Null()]), protocol: Type.String() }),
  ),
})
export type ServiceDocument = Static<typeof ServiceDocument>

/** One service with everything: the answer to `GET /v1/services/:name`. */
export const ServiceDetail = Type.Object({
  ...ServiceDocument.properties,
  spec: ServiceSpec,
  versions: Type.Array(Type.Object({ version: Count, createdAt: Time, image: Type.String() })),
})
export type ServiceDetail = Static<typeof ServiceDetail>

export const StackDocument = Type.Object({
  name: Type.String(),
  deployment: Count,
  deployedAt: Time,
  services: Type.Array(Type.String()),
  counts: TaskCounts,
  /** The judgement of progress: see ProgressDocument. */
  outcome: Type.String(),
})
export type StackDocument = Static<typeof StackDocument>

export const TaskDocument = Type.Object({
  id: Type.String(),
  /** For people: `shop_api.7`, or `shop_agent@web-1` for a global service. */
  name: Type.String(),
  stack: Type.String(),
  service: Type.String(),
  slot: Count,
  version: Count,
  image: Type.String(),
  node: OptionalText,
  /** Its node is lost, or as good as that: what is told of it was heard last, and need not be true any more. */
  nodeLost: Type.Boolean(),
  desired: Type.Union([Type.Literal('running'), Type.Literal('stopped')]),
  state: Type.Enum([...TASK_STATES]),
  since: Time,
  health: Type.Enum([...HEALTH_STATES]),
  healthMessage: OptionalText,
  attempt: Count,
  createdAt: Time,
  containerId: OptionalText,
  imageId: OptionalText,
  exitCode: Type.Union([Type.Integer(), Type.Null()]),
  oomKilled: Type.Boolean(),
  error: Type.Union([Type.Object({ code: Type.String(), message: Type.String() }), Type.Null()]),
  restartAt: Type.Union([Time, Type.Null()]),
  stopReason: OptionalText,
  /** It was stopped for one of higher priority, or takes the place of one that was: by whom and what for. */
  preempted: Type.Optional(Type.String()),
  /** While it waits: the node on which room is made for it. */
  promised: Type.Optional(Type.String()),
  waits: Type.Array(WaitReason),
  /** The named volume that keeps it on its node, whatever happens to that; null: it may go elsewhere. */
  homeVolume: OptionalText,
  ports: Type.Array(Type.Object({ containerPort: Count, hostPort: Count, protocol: Type.String() })),
  cpuCoresUsed: Type.Union([Type.Number(), Type.Null()]),
  memoryBytesUsed: Type.Union([Type.Number(), Type.Null()]),
  /** How often its load is read, and why. `wantedMs`: how often it would be, were there not so many on its node. Absent: not measured. */
  sampling: Type.Optional(
    Type.Object(
      { everyMs: Count, because: PaceReason, wantedMs: Type.Optional(Count) },
      { additionalProperties: false },
    ),
  ),
})
export type TaskDocument = Static<typeof TaskDocument>

export const EventDocument = Type.Object({
  number: Count,
  at: Time,
  kind: Type.String(),
  level: Type.Union([Type.Literal('info'), Type.Literal('warning')]),
  message: Type.String(),
  /** Who did it: an operator, the node's agent, or the coordinator that decided it. Absent of events of older versions. */
  by: Type.Optional(Type.Union([Type.Literal('operator'), Type.Literal('agent'), Type.Literal('coordinator')])),
  node: Type.Optional(Type.String()),
  service: Type.Optional(Type.String()),
  task: Type.Optional(Type.String()),
})
export type EventDocument = Static<typeof EventDocument>
