/** Metrics over time, and who uses most at this moment. */
import { METRIC_GROUPINGS, METRIC_OF, REDUCTIONS, TOP_SORTS } from '../metric-names.ts'
import Type, { type Static } from '../schema.ts'
import { Count, Time } from './common.ts'

const strict = { additionalProperties: false } as const
const Name = Type.String({ minLength: 1, maxLength: 256 })
const Amount = Type.Number({ minimum: 0 })
const Known = <Of extends string>(names: readonly Of[]) =>
  Type.Unsafe<Of>(Type.Union(names.map((name) => Type.Literal(name))))
const OrNull = (schema: typeof Amount) => Type.Union([schema, Type.Null()])

/** `since` and `until` in epoch milliseconds. */
export const MetricsQuery = Type.Object(
  {
    metric: Name,
    stack: Type.Optional(Name),
    service: Type.Optional(Name),
    task: Type.Optional(Name),
    node: Type.Optional(Name),
    of: Type.Optional(Known(METRIC_OF)),
    by: Type.Optional(Known(METRIC_GROUPINGS)),
    reduce: Type.Optional(Known(REDUCTIONS)),
    since: Type.Optional(Amount),
    until: Type.Optional(Amount),
    stepSeconds: Type.Optional(Type.Integer({ minimum: 1, maximum: 86_400 * 30 })),
    after: Type.Optional(Name),
  },
  strict,
)
export type MetricsQuery = Static<typeof MetricsQuery>

export const MetricsDocument = Type.Object({
  metric: Type.String(),
  unit: Type.String(),
  of: Type.String(),
  by: Type.String(),
  reduce: Type.String(),
  /** Of the first step; the others follow without gaps. */
  from: Time,
  stepSeconds: Type.Integer(),
  /** How finely what was read is kept; with `max`, the peaks of these are exact all the same. */
  resolutionSeconds: Type.Integer(),
  lines: Type.Array(
    Type.Object({
      name: Type.String(),
      series: Count,
      /** Null: nothing was measured. */
      points: Type.Array(Type.Union([Type.Number(), Type.Null()])),
    }),
  ),
  /** In the order of their names. `next` goes into `after` for those behind these; null: there are none. */
  next: Type.Union([Type.String(), Type.Null()]),
})
export type MetricsDocument = Static<typeof MetricsDocument>

export const MetricNameDocument = Type.Object({
  name: Type.String(),
  unit: Type.String(),
  of: Type.Array(Type.String()),
  isCounter: Type.Boolean(),
  about: Type.String(),
})
export type MetricNameDocument = Static<typeof MetricNameDocument>

export const TOP_LIMIT_MAX = 1000

export const TopQuery = Type.Object(
  {
    of: Type.Optional(Known(METRIC_OF)),
    sort: Type.Optional(Known(TOP_SORTS)),
    /** Smallest first; of names the last. */
    reverse: Type.Optional(Type.Boolean()),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: TOP_LIMIT_MAX })),
    stack: Type.Optional(Name),
    service: Type.Optional(Name),
    node: Type.Optional(Name),
  },
  strict,
)
export type TopQuery = Static<typeof TopQuery>

export const TopRow = Type.Object({
  name: Type.String(),
  node: Type.String(),
  cpuCoresUsed: Amount,
  /** Of a task: its limit; of a node: what it has. Null: none. */
  cpuCoresMax: OrNull(Amount),
  memoryBytesUsed: Amount,
  memoryBytesMax: OrNull(Amount),
  networkReceiveBytesPerSecond: OrNull(Amount),
  networkSendBytesPerSecond: OrNull(Amount),
  diskReadBytesPerSecond: OrNull(Amount),
  diskWriteBytesPerSecond: OrNull(Amount),
  throttledShare: OrNull(Amount),
  processes: OrNull(Amount),
  restarts: OrNull(Amount),
})
export type TopRow = Static<typeof TopRow>

export const TopDocument = Type.Object({
  at: Time,
  /** Measured in all; `rows` are the first of them. */
  count: Count,
  cpuCoresUsed: Amount,
  memoryBytesUsed: Amount,
  rows: Type.Array(TopRow),
})
export type TopDocument = Static<typeof TopDocument>

/** As Prometheus' http_sd reads it. */
export const DiscoveryDocument = Type.Array(
  Type.Object({ targets: Type.Array(Type.String()), labels: Type.Record(Type.String(), Type.String()) }),
)
export type DiscoveryDocument = Static<typeof DiscoveryDocument>
