/** The audit log as the API shows it. */
import Type, { type Static } from '../schema.ts'
import { Count, PAGE_LIMIT_MAX, Time } from './common.ts'

/** `since` in epoch milliseconds. */
export const AuditQuery = Type.Object(
  {
    after: Type.Optional(Count),
    since: Type.Optional(Type.Number({ minimum: 0 })),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: PAGE_LIMIT_MAX })),
  },
  { additionalProperties: false },
)
export type AuditQuery = Static<typeof AuditQuery>

export const AuditDocument = Type.Object({
  number: Count,
  at: Time,
  /** The name of the token. */
  who: Type.String(),
  /** The address that it came from. */
  from: Type.String(),
  method: Type.String(),
  path: Type.String(),
  what: Type.String(),
  details: Type.Record(Type.String(), Type.Union([Type.String(), Type.Number(), Type.Boolean()])),
  /** Null: it is under way, or the coordinator ended before it was answered. */
  status: Type.Union([Count, Type.Null()]),
  /** Of an error; null: it was done, or there was no answer. */
  code: Type.Union([Type.String(), Type.Null()]),
})
export type AuditDocument = Static<typeof AuditDocument>
