/** Forwarding as the API shows it. Times are ISO 8601. */
import { ForwardTarget } from '../forwarding/config.ts'
import Type, { type Static, type TSchema } from '../schema.ts'
import { Count, Time } from './common.ts'

const OrNull = <Schema extends TSchema>(schema: Schema) => Type.Union([schema, Type.Null()])

/** Lines on their way to a target. Counts are since the start of the coordinator. */
export const ForwardedLogs = Type.Object({
  state: Type.Union([Type.Literal('ok'), Type.Literal('retrying')]),
  /** Since when it is retried, why, and when next. */
  since: OrNull(Time),
  why: OrNull(Type.String()),
  nextAt: OrNull(Time),
  /** What waits in the log store; bytes as the Engine wrote them. */
  behind: Type.Object({ lines: Count, bytes: Count, seconds: Type.Number() }),
  sent: Type.Object({ lines: Count, bytes: Count, batches: Count }),
  /** Lines that the target will never take. */
  refused: Count,
  /** Lines that were gone before they could be sent. */
  skipped: Count,
  failures: Count,
})
export type ForwardedLogs = Static<typeof ForwardedLogs>

export const ForwardedMetrics = Type.Object({
  state: Type.Union([Type.Literal('ok'), Type.Literal('failing')]),
  since: OrNull(Time),
  why: OrNull(Type.String()),
  sent: Count,
  failed: Count,
})
export type ForwardedMetrics = Static<typeof ForwardedMetrics>

export const ForwardedTarget = Type.Object({
  name: Type.String(),
  /** Null: it gets none. */
  logs: OrNull(ForwardedLogs),
  metrics: OrNull(ForwardedMetrics),
  /** Without secrets: of the URL the host alone. */
  config: ForwardTarget,
})
export type ForwardedTarget = Static<typeof ForwardedTarget>

export const ForwardingDocument = Type.Object({ targets: Type.Array(ForwardedTarget) })
export type ForwardingDocument = Static<typeof ForwardingDocument>

export const ForwardingTestAnswer = Type.Object({
  items: Type.Array(Type.Object({ target: Type.String(), error: OrNull(Type.String()) })),
})
export type ForwardingTestAnswer = Static<typeof ForwardingTestAnswer>
