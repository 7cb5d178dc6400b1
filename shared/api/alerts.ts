/** Alerts as the API shows them. Times are ISO 8601. */
import { AlertsConfig } from '../alerts/config.ts'
import Type, { type Static } from '../schema.ts'
import { Count, Time } from './common.ts'

const strict = { additionalProperties: false } as const
const Name = Type.String({ minLength: 1, maxLength: 256 })

export const AlertDocument = Type.Object({
  id: Type.String(),
  rule: Type.String(),
  severity: Type.String(),
  labels: Type.Record(Type.String(), Type.String()),
  reason: Type.String(),
  state: Type.Union([Type.Literal('pending'), Type.Literal('firing')]),
  since: Time,
  /** The id of a silence, or `drained`; null: it is told. */
  silencedBy: Type.Union([Type.String(), Type.Null()]),
})
export type AlertDocument = Static<typeof AlertDocument>

export const SilenceDocument = Type.Object({
  id: Type.String(),
  rule: Type.Optional(Type.String()),
  node: Type.Optional(Type.String()),
  service: Type.Optional(Type.String()),
  startedAt: Time,
  endsAt: Time,
  comment: Type.String(),
})
export type SilenceDocument = Static<typeof SilenceDocument>

export const AlertsDocument = Type.Object({
  alerts: Type.Array(AlertDocument),
  silences: Type.Array(SilenceDocument),
  counts: Type.Record(Type.String(), Count),
  /** Receivers without the secrets: of URLs the host alone. */
  config: AlertsConfig,
})
export type AlertsDocument = Static<typeof AlertsDocument>

export const SILENCE_MS_MAX = 31 * 86_400_000

/** Without rule, node and service it is for all. */
export const SilenceBody = Type.Object(
  {
    rule: Type.Optional(Name),
    node: Type.Optional(Name),
    service: Type.Optional(Name),
    forMs: Type.Integer({ minimum: 1_000, maximum: SILENCE_MS_MAX }),
    comment: Type.Optional(Type.String({ maxLength: 256 })),
  },
  strict,
)
export type SilenceBody = Static<typeof SilenceBody>

export const AlertsTestAnswer = Type.Object({
  items: Type.Array(Type.Object({ receiver: Type.String(), error: Type.Union([Type.String(), Type.Null()]) })),
})
export type AlertsTestAnswer = Static<typeof AlertsTestAnswer>
