/** Incidents as the API shows them: what went bad, with the evidence of that moment. */
import Type, { type Static } from '../schema.ts'
import { Count, PAGE_LIMIT_MAX, Time } from './common.ts'
import { PlacementDocument } from './questions.ts'

const OrNull = { text: Type.Union([Type.String(), Type.Null()]), count: Type.Union([Count, Type.Null()]) }

/** `before`: a page's `next`. `since` in epoch milliseconds: those that went on then or later. */
export const IncidentsQuery = Type.Object(
  {
    before: Type.Optional(Count),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: PAGE_LIMIT_MAX })),
    service: Type.Optional(Type.String()),
    node: Type.Optional(Type.String()),
    since: Type.Optional(Type.Number({ minimum: 0 })),
  },
  { additionalProperties: false },
)
export type IncidentsQuery = Static<typeof IncidentsQuery>

const IncidentKind = Type.Union([
  Type.Literal('exit'),
  Type.Literal('out-of-memory'),
  Type.Literal('error'),
  Type.Literal('unhealthy'),
  Type.Literal('node-lost'),
  Type.Literal('node-back'),
  Type.Literal('node-drained'),
  Type.Literal('engine-down'),
  Type.Literal('rollout-failed'),
])

const brief = {
  number: Count,
  kind: IncidentKind,
  at: Time,
  /** Of the latest failure that is counted in it. */
  lastAt: Time,
  count: Count,
  service: OrNull.text,
  node: OrNull.text,
  task: OrNull.text,
  taskName: OrNull.text,
  reason: Type.String(),
}

export const IncidentBriefDocument = Type.Object({ ...brief, exitCode: OrNull.count })
export type IncidentBriefDocument = Static<typeof IncidentBriefDocument>

/** Newest first. `next` goes into `before` for the older ones; null: there are none. */
export const IncidentsDocument = Type.Object({ items: Type.Array(IncidentBriefDocument), next: OrNull.count })
export type IncidentsDocument = Static<typeof IncidentsDocument>

export const IncidentDocument = Type.Object({
  ...brief,
  /** How it ended; null where nothing has. `signal` by its name, of codes above 128. */
  ending: Type.Union([
    Type.Object({
      attempt: Count,
      exitCode: OrNull.count,
      signal: OrNull.text,
      oomKilled: Type.Boolean(),
      error: OrNull.text,
    }),
    Type.Null(),
  ]),
  healthMessage: OrNull.text,
  container: Type.Union([
    Type.Object({
      id: OrNull.text,
      image: Type.String(),
      imageId: OrNull.text,
      version: Count,
      upSince: Type.Union([Time, Type.Null()]),
    }),
    Type.Null(),
  ]),
  /** Why the task was where it was. */
  placement: Type.Union([PlacementDocument, Type.Null()]),
  /** Tasks that a lost node had, or that failed in a rollout. */
  tasks: Type.Object({ names: Type.Array(Type.String()), count: Count }),
  /** The latest failures that are counted in it, oldest first. */
  occurrences: Type.Array(
    Type.Object({
      at: Time,
      kind: IncidentKind,
      task: OrNull.text,
      node: OrNull.text,
      attempt: OrNull.count,
      exitCode: OrNull.count,
      reason: Type.String(),
    }),
  ),
  /** Of the task, else of the node, before the first failure; by the coordinator's clock. */
  samples: Type.Array(
    Type.Object({
      at: Time,
      cpuCoresUsed: Type.Number(),
      memoryBytesUsed: Type.Number(),
      cpuThrottledShare: Type.Number(),
    }),
  ),
  /** Before the first failure, by the host's clock. */
  lines: Type.Object({
    state: Type.Union([Type.Literal('waiting'), Type.Literal('kept'), Type.Literal('none')]),
    task: OrNull.text,
    until: Type.Union([Time, Type.Null()]),
    missing: OrNull.text,
    kept: Type.Array(
      Type.Object({
        at: Time,
        source: Type.Union([Type.Literal('stdout'), Type.Literal('stderr')]),
        text: Type.String(),
      }),
    ),
  }),
})
export type IncidentDocument = Static<typeof IncidentDocument>
