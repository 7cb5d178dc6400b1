/** Bodies, parameters and small answers of the API. Unknown members are refused: nothing is silently ignored. */
import Type, { type Static } from 'typebox'
import { Count, PAGE_LIMIT_DEFAULT, PAGE_LIMIT_MAX } from './common.ts'

const strict = { additionalProperties: false } as const
const Name = Type.String({ minLength: 1, maxLength: 256 })

export const NameParams = Type.Object({ name: Name }, strict)
export const StackParams = Type.Object({ stack: Name }, strict)

const paging = {
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: PAGE_LIMIT_MAX, default: PAGE_LIMIT_DEFAULT })),
  after: Type.Optional(Type.String({ maxLength: 256 })),
}
export const PageQuery = Type.Object(paging, strict)
export type PageQuery = Static<typeof PageQuery>

export const ServicesQuery = Type.Object({ ...paging, stack: Type.Optional(Name) }, strict)

/** `all` also shows tasks that ended or are being stopped. */
export const TasksQuery = Type.Object(
  {
    ...paging,
    stack: Type.Optional(Name),
    service: Type.Optional(Name),
    node: Type.Optional(Name),
    all: Type.Optional(Type.Boolean()),
  },
  strict,
)
export type TasksQuery = Static<typeof TasksQuery>

export const EventsQuery = Type.Object(
  {
    after: Type.Optional(Count),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: PAGE_LIMIT_MAX })),
    stack: Type.Optional(Name),
    service: Type.Optional(Name),
    node: Type.Optional(Name),
  },
  strict,
)
export type EventsQuery = Static<typeof EventsQuery>

/** `since` in epoch milliseconds; of stack, service and task one is given. */
export const LogsQuery = Type.Object(
  {
    stack: Type.Optional(Name),
    service: Type.Optional(Name),
    task: Type.Optional(Name),
    tail: Type.Optional(Type.Integer({ minimum: 0, maximum: 1_000_000 })),
    since: Type.Optional(Type.Number({ minimum: 0 })),
    follow: Type.Optional(Type.Boolean()),
  },
  strict,
)
export type LogsQuery = Static<typeof LogsQuery>

/**
 * One line of the answer to `GET /v1/logs` (newline-delimited JSON): a line of a task, or a word about the stream itself.
 */
export const LogRecord = Type.Union([
  Type.Object({
    task: Type.String(),
    /** Epoch milliseconds. */
    at: Type.Number(),
    source: Type.Union([Type.Literal('stdout'), Type.Literal('stderr')]),
    text: Type.String(),
  }),
  /** Which tasks follow, with the names to show for them. */
  Type.Object({ tasks: Type.Record(Type.String(), Type.String()) }),
  Type.Object({ dropped: Count }),
  Type.Object({ missingNodes: Type.Array(Type.String()) }),
])
export type LogRecord = Static<typeof LogRecord>
export type LogRecordLine = Extract<LogRecord, { text: string }>

export const DeployQuery = Type.Object({ prune: Type.Optional(Type.Boolean({ default: true })) }, strict)
export const DeployAnswer = Type.Object({
  deployment: Count,
  revision: Count,
  services: Type.Array(Type.String()),
  warnings: Type.Array(Type.String()),
})
export type DeployAnswer = Static<typeof DeployAnswer>

export const ScaleBody = Type.Object({ replicas: Type.Integer({ minimum: 0, maximum: 1_000_000 }) }, strict)
export type ScaleBody = Static<typeof ScaleBody>

export const LabelsBody = Type.Object(
  {
    set: Type.Optional(
      Type.Record(Type.String({ minLength: 1, maxLength: 256 }), Type.String({ maxLength: 1024 }), {
        maxProperties: 256,
      }),
    ),
    remove: Type.Optional(Type.Array(Type.String({ minLength: 1, maxLength: 256 }), { maxItems: 256 })),
  },
  strict,
)
export type LabelsBody = Static<typeof LabelsBody>

/** What every change answers with: the world's revision that holds it, durably. */
export const ChangeAnswer = Type.Object({ revision: Count })
export type ChangeAnswer = Static<typeof ChangeAnswer>

export const TokensAnswer = Type.Object({ join: Type.String(), command: Type.String() })
export type TokensAnswer = Static<typeof TokensAnswer>

export const RotateBody = Type.Object({ rotate: Type.Union([Type.Literal('join'), Type.Literal('operator')]) }, strict)
export type RotateBody = Static<typeof RotateBody>
export const RotateAnswer = Type.Object({ token: Type.String() })
export type RotateAnswer = Static<typeof RotateAnswer>
