/** A node as the API shows it. */

import { HostLoad } from '../load.ts'
import Type, { type Static } from '../schema.ts'
import { Count, Time } from './common.ts'

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
  /** Sum of the reservations of its tasks. */
  cpuCoresPromised: Type.Number(),
  memoryBytesPromised: Type.Number(),
  load: Type.Union([HostLoad, Type.Null()]),
  clockSkewMs: Type.Number(),
  tasks: Type.Object({ running: Count, total: Count }),
  assignmentRevision: Count,
  appliedRevision: Count,
})
export type NodeDocument = Static<typeof NodeDocument>
