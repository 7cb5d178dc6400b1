/** Documents and requests of `/v1/rebalance`. */
import Type, { type Static } from '../schema.ts'
import { PolicyName } from '../spec.ts'
import { Count, Time } from './common.ts'

const strict = { additionalProperties: false } as const
const Name = Type.String({ minLength: 1, maxLength: 256 })
const Figures = Type.Record(Type.String(), Type.Number())

/** Of one rebalance. */
export const REBALANCE_MOVES_MAX = 1_000
export const REBALANCE_AT_ONCE_MAX = 100

const Share = Type.Object({ node: Type.Union([Type.String(), Type.Null()]), share: Type.Number() })
/** Shares of a node's room: what its tasks are assumed to need (fullest, emptiest), what is measured (busiest). */
const Extremes = Type.Object({ fullest: Share, emptiest: Share, busiest: Share })

export const PlannedMove = Type.Object({
  task: Type.String(),
  service: Type.String(),
  slot: Count,
  from: Type.String(),
  to: Type.String(),
  policy: PolicyName,
  /** By how much the policy's score is lower there. */
  gain: Type.Number(),
  /** The policy's figures for the task on either node. */
  figures: Type.Object({ from: Figures, to: Figures }),
  /** Tasks of its service with the same values of the labels it is spread over; absent: that does not speak for the move. */
  groups: Type.Optional(Type.Object({ from: Count, to: Count })),
  /** What is lost: a container that has run for so long ends. */
  cost: Type.Object({ upMs: Type.Number() }),
})
export type PlannedMove = Static<typeof PlannedMove>

export const MoveDocument = Type.Object({
  task: Type.String(),
  service: Type.String(),
  slot: Count,
  from: Type.String(),
  to: Type.String(),
  state: Type.Enum(['waiting', 'moving', 'done', 'failed', 'skipped']),
  /** The task that took over. */
  replacement: Type.Union([Type.String(), Type.Null()]),
  why: Type.Union([Type.String(), Type.Null()]),
})

export const RebalanceDocument = Type.Object({
  number: Count,
  by: Type.Union([Type.Literal('operator'), Type.Literal('auto'), Type.Literal('undo')]),
  undoes: Type.Union([Count, Type.Null()]),
  startedAt: Time,
  endedAt: Type.Union([Time, Type.Null()]),
  state: Type.Union([Type.Literal('moving'), Type.Literal('done'), Type.Literal('stopped')]),
  /** Why no further moves are begun. */
  why: Type.Union([Type.String(), Type.Null()]),
  atOnce: Count,
  moves: Type.Array(MoveDocument),
})
export type RebalanceDocument = Static<typeof RebalanceDocument>

export const RebalanceAnswer = Type.Object({
  plan: Type.Object({
    moves: Type.Array(PlannedMove),
    before: Extremes,
    after: Extremes,
    /** True: the bound on work left something out; another plan after these moves may find more. */
    isCut: Type.Boolean(),
  }),
  last: Type.Union([RebalanceDocument, Type.Null()]),
})
export type RebalanceAnswer = Static<typeof RebalanceAnswer>

/** How the latest is getting on; null: there was none yet. Costs nothing, where a plan looks at every node. */
export const LastRebalanceAnswer = Type.Object({ last: Type.Union([RebalanceDocument, Type.Null()]) })
export type LastRebalanceAnswer = Static<typeof LastRebalanceAnswer>

export const RebalanceQuery = Type.Object(
  { moves: Type.Optional(Type.Integer({ minimum: 1, maximum: REBALANCE_MOVES_MAX })) },
  strict,
)
export type RebalanceQuery = Static<typeof RebalanceQuery>

const AtOnce = Type.Optional(Type.Integer({ minimum: 1, maximum: REBALANCE_AT_ONCE_MAX }))
export const RebalanceBody = Type.Object(
  {
    moves: Type.Array(Type.Object({ task: Name, to: Name }, strict), { minItems: 1, maxItems: REBALANCE_MOVES_MAX }),
    atOnce: AtOnce,
  },
  strict,
)
export type RebalanceBody = Static<typeof RebalanceBody>
export const UndoBody = Type.Object({ atOnce: AtOnce }, strict)
export type UndoBody = Static<typeof UndoBody>
