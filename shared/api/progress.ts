/** How far a stack is on its way to what was asked for: what `berth deploy` shows and waits for. */
import Type, { type Static } from '../schema.ts'
import { Count, TaskCounts, Time, WaitReason } from './common.ts'
import { DependencyWaitDocument } from './service.ts'

export const SERVICE_STAGES = [
  'held', // its dependencies are not met yet
  'going', // tasks are being made, started, replaced, or are not healthy yet
  'waiting', // nothing moves: tasks have no node that would take them
  'rolling-back',
  'removing',
  'up', // the wanted tasks run, healthy where they have a test
  'done', // a one-shot service: its tasks ended with exit code 0
  'failed',
  'rolled-back',
] as const
export type ServiceStage = (typeof SERVICE_STAGES)[number]

export const ServiceProgress = Type.Object({
  service: Type.String(),
  shortName: Type.String(),
  stage: Type.Enum([...SERVICE_STAGES]),
  version: Count,
  /** Of `counts.wanted`: tasks of this version that are as they should be. */
  good: Count,
  counts: TaskCounts,
  /** Whether any task of it has a health test. */
  checked: Type.Boolean(),
  /** Tasks replaced at a time while rolling; 0: all. */
  parallelism: Count,
  heldBy: Type.Array(DependencyWaitDocument),
  waits: Type.Array(WaitReason),
  /** Why it failed or was rolled back, and the tasks that did. */
  why: Type.Union([Type.String(), Type.Null()]),
  failures: Type.Array(
    Type.Object({
      task: Type.String(),
      name: Type.String(),
      node: Type.Union([Type.String(), Type.Null()]),
      why: Type.String(),
    }),
  ),
  /** Where it runs, when that is one node. */
  node: Type.Union([Type.String(), Type.Null()]),
  /** The volume for which it runs there, when it is one task with one. */
  homeVolume: Type.Union([Type.String(), Type.Null()]),
})
export type ServiceProgress = Static<typeof ServiceProgress>

/** `going` until nothing is left to wait for; `gone`: the stack was removed. */
export const STACK_OUTCOMES = ['going', 'up', 'failed', 'rolled-back', 'gone'] as const
export type StackOutcome = (typeof STACK_OUTCOMES)[number]

/** Data of each `progress` event of `GET /v1/progress/:stack`, and of the last one, `done`. */
export const ProgressDocument = Type.Object({
  stack: Type.String(),
  deployment: Count,
  outcome: Type.Enum([...STACK_OUTCOMES]),
  services: Type.Array(ServiceProgress),
  /** With `done` only: last lines of the tasks that failed, where they can still be read. */
  lastLines: Type.Optional(
    Type.Array(
      Type.Object({
        task: Type.String(),
        lines: Type.Array(Type.String({ maxLength: 2048 })),
        /** When each was written. */
        at: Type.Array(Time),
      }),
    ),
  ),
})
export type ProgressDocument = Static<typeof ProgressDocument>
