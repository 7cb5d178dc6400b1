/** A node as the API shows it. */
import { HostLoad } from '../load.ts'
import Type, { type Static } from '../schema.ts'
import { GenericResources, Taint } from '../spec.ts'
import { Count, Time } from './common.ts'

/** Sizes of CPU, memory and disk. */
export const AmountsDocument = Type.Object({
  cpuCores: Type.Number(),
  memoryBytes: Type.Number(),
  diskBytes: Type.Number(),
})

export const NodeDocument = Type.Object({
  name: Type.String(),
  status: Type.Union([
    Type.Literal('joining'),
    Type.Literal('ready'),
    Type.Literal('disconnected'),
    Type.Literal('engine-down'),
    Type.Literal('lost'),
  ]),
  statusSince: Time,
  /** Why it is not ready, in words. */
  statusReason: Type.Union([Type.String(), Type.Null()]),
  availability: Type.Union([Type.Literal('active'), Type.Literal('drain')]),
  labels: Type.Record(Type.String(), Type.String()),
  joinedAt: Time,
  address: Type.Union([Type.String(), Type.Null()]),
  agentVersion: Type.Union([Type.String(), Type.Null()]),
  engineVersion: Type.Union([Type.String(), Type.Null()]),
  os: Type.Union([Type.String(), Type.Null()]),
  arch: Type.Union([Type.String(), Type.Null()]),
  hostname: Type.Union([Type.String(), Type.Null()]),
  cpuCores: Type.Number(),
  memoryBytes: Type.Number(),
  /** Of the file system that holds the Engine's data; 0: not told. */
  diskBytes: Type.Number(),
  /** How many of each countable thing it has. */
  generic: GenericResources,
  /** Sum of the reservations of its tasks. */
  cpuCoresPromised: Type.Number(),
  memoryBytesPromised: Type.Number(),
  diskBytesPromised: Type.Number(),
  genericPromised: GenericResources,
  taints: Type.Array(Taint),
  /** Kept back for the host's own needs. */
  reserve: AmountsDocument,
  /** How many times what there is may be promised. */
  overcommit: Type.Object({ cpu: Type.Number(), memory: Type.Number(), disk: Type.Number() }),
  /** What may be promised in all: what there is, times overcommit, less the reserve. */
  room: AmountsDocument,
  load: Type.Union([HostLoad, Type.Null()]),
  clockSkewMs: Type.Number(),
  tasks: Type.Object({ running: Count, total: Count }),
  assignmentRevision: Count,
  appliedRevision: Count,
})
export type NodeDocument = Static<typeof NodeDocument>
