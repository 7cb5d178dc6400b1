/** What several documents of the API share. */
import Type, { type Static, type TSchema } from '../schema.ts'

/** ISO 8601 in UTC, with milliseconds. */
export const Time = Type.String({ description: 'ISO 8601, UTC' })
export const Count = Type.Integer({ minimum: 0 })

/** How many things an answer to a list holds at most, and by default. */
export const PAGE_LIMIT_MAX = 1000
export const PAGE_LIMIT_DEFAULT = 200

/** One page of a list. `next` goes into `after` for the page behind it; null: this was the last. */
export function Page<Item extends TSchema>(item: Item) {
  return Type.Object({ items: Type.Array(item), next: Type.Union([Type.String(), Type.Null()]) })
}
export type Page<Item> = { items: Item[]; next: string | null }

/** RFC 9457, with the stable `code` of docs/errors.md; further members are the error's details. */
export const ProblemDocument = Type.Object(
  {
    type: Type.String(),
    title: Type.String(),
    status: Type.Integer(),
    detail: Type.String(),
    code: Type.String(),
  },
  { additionalProperties: true },
)
export type ProblemDocument = Static<typeof ProblemDocument>

/** "No" as data and in words: one check, on the nodes where it failed (none named: everywhere). */
export const WaitReason = Type.Object({
  check: Type.String(),
  message: Type.String(),
  nodes: Type.Array(Type.String()),
  figures: Type.Record(Type.String(), Type.Union([Type.String(), Type.Number(), Type.Null()])),
})
export type WaitReason = Static<typeof WaitReason>

export const TaskCounts = Type.Object({
  /** How many there should be. */
  wanted: Count,
  running: Count,
  /** Of those running: with a health test that passes. */
  healthy: Count,
  unhealthy: Count,
  /** Without a node. */
  waiting: Count,
  /** Assigned, pulling or starting. */
  starting: Count,
  restarting: Count,
  stopping: Count,
  completed: Count,
  failed: Count,
})
export type TaskCounts = Static<typeof TaskCounts>
