/** `GET /status`: the whole cluster in one document. `GET /healthz`: whether the coordinator serves. */
import Type, { type Static } from '../schema.ts'
import { Count, Time } from './common.ts'
import { NodeDocument } from './node.ts'
import { ServiceDocument, StackDocument } from './service.ts'

/** Something an operator should look at. */
export const Problem = Type.Object({
  kind: Type.String(),
  message: Type.String(),
  /** The command or the change that would help. */
  hint: Type.Optional(Type.String()),
  node: Type.Optional(Type.String()),
  service: Type.Optional(Type.String()),
  task: Type.Optional(Type.String()),
})
export type Problem = Static<typeof Problem>

export const StatusDocument = Type.Object({
  cluster: Type.String(),
  at: Time,
  revision: Count,
  coordinator: Type.Object({
    version: Type.String(),
    url: Type.String(),
    startedAt: Time,
    uptimeMs: Type.Number(),
    storeBytes: Type.Number(),
  }),
  totals: Type.Object({
    nodes: Type.Object({ total: Count, ready: Count, drained: Count, notReady: Count }),
    cpuCores: Type.Number(),
    cpuCoresUsed: Type.Number(),
    cpuCoresPromised: Type.Number(),
    memoryBytes: Type.Number(),
    memoryBytesUsed: Type.Number(),
    memoryBytesPromised: Type.Number(),
    tasks: Type.Object({
      running: Count,
      waiting: Count,
      starting: Count,
      restarting: Count,
      stopping: Count,
      completed: Count,
      failed: Count,
    }),
  }),
  nodes: Type.Array(NodeDocument),
  stacks: Type.Array(StackDocument),
  services: Type.Array(ServiceDocument),
  problems: Type.Array(Problem),
})
export type StatusDocument = Static<typeof StatusDocument>

export const HealthDocument = Type.Object({ status: Type.Literal('ok'), version: Type.String() })
export type HealthDocument = Static<typeof HealthDocument>
