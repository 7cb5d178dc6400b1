/** The questions of the API and their answers: `why`, `plan`, `what-if`. */
import Type, { type Static } from '../schema.ts'
import { GenericResources, StackSpec } from '../spec.ts'
import { Count, TaskCounts, Time } from './common.ts'
import { DependencyWaitDocument, EventDocument } from './service.ts'

const OptionalText = Type.Union([Type.String(), Type.Null()])
const Figures = Type.Record(Type.String(), Type.Union([Type.String(), Type.Number(), Type.Null()]))
const Score = Type.Record(Type.String(), Type.Number())
const strict = { additionalProperties: false } as const
const Name = Type.String({ minLength: 1, maxLength: 256 })

// ---------------------------------------------------------------- reasons

/** Refusals of many nodes as one reason: `memory: 7 of 9 nodes, short by 128 MiB to 900 MiB`. */
export const CheckDocument = Type.Object({
  check: Type.String(),
  /** What it is about, where the check's name does not say it all: `node.labels.zone==b`. */
  subject: Type.String(),
  message: Type.String(),
  count: Count,
  of: Count,
  /** Some of the nodes. */
  nodes: Type.Array(Type.String()),
  shortBy: Type.Union([
    Type.Object({
      min: Type.Number(),
      max: Type.Number(),
      unit: Type.Union([Type.Literal('bytes'), Type.Literal('cores'), Type.Literal('count')]),
    }),
    Type.Null(),
  ]),
  /** Of the node that falls short least. */
  figures: Figures,
})
export type CheckDocument = Static<typeof CheckDocument>

/** A change that was tried on a copy, and lets the task run on `node`. */
export const SmallestChangeDocument = Type.Object({
  node: Type.String(),
  message: Type.String(),
  changes: Type.Array(Type.Record(Type.String(), Type.Unknown())),
})
export type SmallestChangeDocument = Static<typeof SmallestChangeDocument>

// ---------------------------------------------------------------- why

export const CandidateDocument = Type.Object({
  node: Type.String(),
  isChosen: Type.Boolean(),
  /** Null: it could take the task. */
  refusal: OptionalText,
  score: Score,
})
export type CandidateDocument = Static<typeof CandidateDocument>

export const PlacementDocument = Type.Object({
  task: Type.String(),
  node: Type.String(),
  at: Time,
  policy: Type.String(),
  considered: Count,
  fitting: Count,
  /** The chosen one, the best few others, some that could not take it. */
  candidates: Type.Array(CandidateDocument),
  /** `placement`: as it was then. `now`: of a task that was one of too many placed at once, as it would be now. */
  asOf: Type.Union([Type.Literal('placement'), Type.Literal('now')]),
})
export type PlacementDocument = Static<typeof PlacementDocument>

export const WaitDocument = Type.Object({
  /** Names of some of the tasks that wait for these reasons. */
  tasks: Type.Array(Type.String()),
  count: Count,
  since: Time,
  checks: Type.Array(CheckDocument),
  smallestChanges: Type.Array(SmallestChangeDocument),
})
export type WaitDocument = Static<typeof WaitDocument>

/** Something about it that asks for an explanation, and the explanation. */
export const ReasonDocument = Type.Object({
  kind: Type.String(),
  message: Type.String(),
  hint: Type.Optional(Type.String()),
})
export type ReasonDocument = Static<typeof ReasonDocument>

export const WhyDocument = Type.Object({
  name: Type.String(),
  about: Type.Union([Type.Literal('task'), Type.Literal('service')]),
  service: Type.String(),
  at: Time,
  /** The answer in one sentence. */
  summary: Type.String(),
  counts: Type.Union([TaskCounts, Type.Null()]),
  placements: Type.Array(PlacementDocument),
  /** Of how many tasks with a place. */
  placed: Count,
  waits: Type.Array(WaitDocument),
  heldBy: Type.Array(DependencyWaitDocument),
  reasons: Type.Array(ReasonDocument),
  /** The latest about it, oldest first. */
  events: Type.Array(EventDocument),
})
export type WhyDocument = Static<typeof WhyDocument>

// ---------------------------------------------------------------- what would come of something

export const UnitChangeDocument = Type.Object({
  /** The task's name: `shop_api.7`, `shop_agent@web-1`. */
  task: Type.String(),
  service: Type.String(),
  kind: Type.Union([
    Type.Literal('place'),
    Type.Literal('replace'),
    Type.Literal('move'),
    Type.Literal('stop'),
    Type.Literal('wait'),
    Type.Literal('displace'),
  ]),
  from: OptionalText,
  to: OptionalText,
  why: OptionalText,
  /** Of lower priority than another, which takes its room. */
  isPreempted: Type.Boolean(),
  placement: Type.Union([
    Type.Object({ policy: Type.String(), considered: Count, fitting: Count, score: Score }),
    Type.Null(),
  ]),
})
export type UnitChangeDocument = Static<typeof UnitChangeDocument>

/** How many of each kind. */
export const ChangeCounts = Type.Object({
  place: Count,
  replace: Count,
  move: Count,
  stop: Count,
  wait: Count,
  displace: Count,
  preempted: Count,
})
export type ChangeCounts = Static<typeof ChangeCounts>

/** Tasks of a service that no node would take. */
export const UnplacedDocument = Type.Object({
  service: Type.String(),
  /** Names of some of them. */
  tasks: Type.Array(Type.String()),
  count: Count,
  /** The volume that keeps them to a node that is not there. */
  volume: OptionalText,
  checks: Type.Array(CheckDocument),
  smallestChanges: Type.Array(SmallestChangeDocument),
})
export type UnplacedDocument = Static<typeof UnplacedDocument>

const isComplete = Type.Boolean({
  description: 'False: there was more to come than is looked at for one question; what is told is true all the same',
})

// ---------------------------------------------------------------- plan

export const PlanBody = Type.Object({ stack: StackSpec, prune: Type.Optional(Type.Boolean()) }, strict)
export type PlanBody = Static<typeof PlanBody>

export const ServicePlanDocument = Type.Object({
  service: Type.String(),
  change: Type.Union([
    Type.Literal('new'),
    Type.Literal('changed'),
    Type.Literal('again'),
    Type.Literal('unchanged'),
    Type.Literal('removed'),
  ]),
  differences: Type.Array(Type.Object({ path: Type.String(), before: OptionalText, after: OptionalText })),
  counts: ChangeCounts,
  /** How its tasks would be replaced; null: none would. */
  rollout: Type.Union([Type.Object({ parallelism: Count, order: Type.String() }), Type.Null()]),
  /** Nodes that tasks would go to, with how many. */
  nodes: Type.Record(Type.String(), Count),
  heldBy: Type.Array(DependencyWaitDocument),
})
export type ServicePlanDocument = Static<typeof ServicePlanDocument>

export const SurvivalDocument = Type.Object({
  /** Nodes of which each one could be lost, alone, and everything would still fit. */
  safe: Type.Array(Type.String()),
  broken: Type.Array(
    Type.Object({
      node: Type.String(),
      services: Type.Array(Type.Object({ service: Type.String(), tasks: Count, message: Type.String() })),
    }),
  ),
  /** Not tried. */
  unknown: Count,
})
export type SurvivalDocument = Static<typeof SurvivalDocument>

export const PlanDocument = Type.Object({
  stack: Type.String(),
  at: Time,
  revision: Count,
  /** Why the deployment would be refused; null: it would be taken. */
  refused: Type.Union([Type.Object({ code: Type.String(), message: Type.String() }), Type.Null()]),
  warnings: Type.Array(Type.String()),
  services: Type.Array(ServicePlanDocument),
  /** In the order of services and slots; with those of other stacks that would have to make room. */
  changes: Type.Array(UnitChangeDocument),
  /** How many changes there are; `changes` holds the first of them. */
  changesTotal: Count,
  unplaced: Type.Array(UnplacedDocument),
  survival: Type.Union([SurvivalDocument, Type.Null()]),
  changesNothing: Type.Boolean(),
  isComplete,
})
export type PlanDocument = Static<typeof PlanDocument>

// ---------------------------------------------------------------- what-if

export const AddedNodeBody = Type.Object(
  {
    cpuCores: Type.Number({ exclusiveMinimum: 0, maximum: 100_000 }),
    memoryBytes: Type.Integer({ minimum: 1 }),
    diskBytes: Type.Optional(Type.Integer({ minimum: 0 })),
    os: Type.Optional(Type.String({ minLength: 1, maxLength: 64 })),
    arch: Type.Optional(Type.String({ minLength: 1, maxLength: 64 })),
    labels: Type.Optional(Type.Record(Name, Type.String({ maxLength: 1024 }), { maxProperties: 256 })),
    generic: Type.Optional(GenericResources),
    count: Type.Optional(Type.Integer({ minimum: 1, maximum: 10_000 })),
  },
  strict,
)
export type AddedNodeBody = Static<typeof AddedNodeBody>

export const WhatIfBody = Type.Object(
  {
    lose: Type.Optional(Type.Array(Name, { maxItems: 10_000 })),
    loseLabels: Type.Optional(
      Type.Array(Type.Object({ label: Name, value: Type.String({ maxLength: 1024 }) }, strict), { maxItems: 256 }),
    ),
    add: Type.Optional(Type.Array(AddedNodeBody, { maxItems: 256 })),
    scale: Type.Optional(
      Type.Array(Type.Object({ service: Name, replicas: Type.Integer({ minimum: 0, maximum: 1_000_000 }) }, strict), {
        maxItems: 256,
      }),
    ),
  },
  strict,
)
export type WhatIfBody = Static<typeof WhatIfBody>

export const WhatIfDocument = Type.Object({
  at: Time,
  revision: Count,
  lost: Type.Array(Type.String()),
  added: Type.Array(Type.String()),
  scaled: Type.Array(Type.Object({ service: Type.String(), from: Count, to: Count })),
  counts: ChangeCounts,
  changes: Type.Array(UnitChangeDocument),
  changesTotal: Count,
  unplaced: Type.Array(UnplacedDocument),
  /** Services that would have no task any more. */
  stopped: Type.Array(Type.Object({ service: Type.String(), volume: OptionalText, nodes: Type.Array(Type.String()) })),
  /** Services that would lose all their tasks at once, and come back elsewhere. */
  interrupted: Type.Array(Type.String()),
  /** No node would be left: then none is given up, and nothing moves. */
  isNobodyLeft: Type.Boolean(),
  isComplete,
})
export type WhatIfDocument = Static<typeof WhatIfDocument>
