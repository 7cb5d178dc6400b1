/** Bodies, parameters and small answers of the API. Unknown members are refused: nothing is silently ignored. */
import { ClusterSettings } from '../cluster-settings.ts'
import { FIELD_TEST_CHARS_MAX, FIELD_TESTS_MAX } from '../log-field.ts'
import { POSITIONS_MAX } from '../log-position.ts'
import { NAME_PATTERN } from '../names.ts'
import { OVERCOMMIT_MAX, OVERCOMMIT_MIN } from '../overcommit.ts'
import Type, { type Static } from '../schema.ts'
import { PolicyName, Taint, TaintEffect } from '../spec.ts'
import { Count, PAGE_LIMIT_DEFAULT, PAGE_LIMIT_MAX, Time } from './common.ts'

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

/** `type`: kinds with commas between, each may end with a star (`node-*`). `since` in epoch milliseconds. */
export const EventsQuery = Type.Object(
  {
    after: Type.Optional(Count),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: PAGE_LIMIT_MAX })),
    stack: Type.Optional(Name),
    service: Type.Optional(Name),
    node: Type.Optional(Name),
    type: Type.Optional(Name),
    since: Type.Optional(Type.Number({ minimum: 0 })),
  },
  strict,
)
export type EventsQuery = Static<typeof EventsQuery>

/** What `/v1/events/live` says of events that a reader asked for too late: their numbers, both ends included. */
export const EventsMissed = Type.Object({ from: Count, to: Count })
export type EventsMissed = Static<typeof EventsMissed>

const logsAsked = {
  stack: Type.Optional(Name),
  service: Type.Optional(Name),
  task: Type.Optional(Name),
  tail: Type.Optional(Type.Integer({ minimum: 0, maximum: 1_000_000 })),
  since: Type.Optional(Type.Number({ minimum: 0 })),
  until: Type.Optional(Type.Number({ minimum: 0 })),
  /** A regular expression; only lines that it is found in. */
  grep: Type.Optional(Type.String({ minLength: 1, maxLength: 1_000 })),
  /** Only lines that say they are at least of this level. */
  level: Type.Optional(
    Type.Union((['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const).map((level) => Type.Literal(level))),
  ),
  /** Only JSON lines whose fields meet all of these, each like `status>=500` (see shared/log-field.ts). */
  field: Type.Optional(
    Type.Array(Type.String({ minLength: 1, maxLength: FIELD_TEST_CHARS_MAX }), { maxItems: FIELD_TESTS_MAX }),
  ),
  /** Each line with its level, if it says one, and with its fields if it is a JSON object. */
  parse: Type.Optional(Type.Boolean()),
  /** With so many lines of the task before and after each that is found. */
  context: Type.Optional(Type.Integer({ minimum: 0, maximum: 1_000 })),
  follow: Type.Optional(Type.Boolean()),
}
/** `since` and `until` in epoch milliseconds; of stack, service and task one is given. */
export const LogsQuery = Type.Object(logsAsked, strict)
export type LogsQuery = Static<typeof LogsQuery>

/**
 * The same for a reader that comes back: `from` says by task how far it is (see shared/log-position.ts). Tasks that it does
 * not name are new to the reader and begin with their first line; `tail` does not count.
 */
export const LogsBody = Type.Object(
  {
    ...logsAsked,
    from: Type.Optional(
      Type.Record(
        Type.String({ maxLength: 256 }),
        Type.Object({ at: Type.Number({ minimum: 0 }), lines: Count }, strict),
        { maxProperties: POSITIONS_MAX },
      ),
    ),
  },
  strict,
)
export type LogsBody = Static<typeof LogsBody>

/**
 * One line of the answer to `GET /v1/logs` (newline-delimited JSON): a line of a task, or a word about the stream itself.
 */
export const LogRecord = Type.Union([
  Type.Object({
    task: Type.String(),
    /** Epoch milliseconds, with as much of a fraction as the Engine has written. */
    at: Type.Number(),
    source: Type.Union([Type.Literal('stdout'), Type.Literal('stderr')]),
    text: Type.String(),
    /** These two with `parse`. */
    level: Type.Optional(Type.String()),
    fields: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
  }),
  /** Which tasks follow, with the names to show for them; again for each that joins. `now` is the coordinator's clock. */
  Type.Object({ tasks: Type.Record(Type.String(), Type.String()), now: Type.Number() }),
  /** More came than could be sent: so many lines are missing here. */
  Type.Object({ dropped: Count }),
  /** Nodes that are away; their lines come when they are back, if the answer follows. */
  Type.Object({ missingNodes: Type.Array(Type.String()) }),
  /** A log that cannot be read. */
  Type.Object({ warning: Type.String() }),
  /** Now and then while there is nothing to say: without it for long, the line is dead. The coordinator's clock. */
  Type.Object({ alive: Type.Number() }),
  /** The last record: all lines were given, or (following) nothing is left that could write any. Without it the answer broke off. */
  Type.Object({ ended: Type.Union([Type.Literal('complete'), Type.Literal('gone')]) }),
  /** The last record: why it broke off. */
  Type.Object({ error: Type.String(), code: Type.String() }),
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

/** `remove`: all taints of the key, or those of one effect. */
export const TaintsBody = Type.Object(
  {
    set: Type.Optional(Type.Array(Taint, { maxItems: 64 })),
    remove: Type.Optional(
      Type.Array(
        Type.Object({ key: Type.String({ minLength: 1, maxLength: 256 }), effect: Type.Optional(TaintEffect) }, strict),
        { maxItems: 64 },
      ),
    ),
  },
  strict,
)
export type TaintsBody = Static<typeof TaintsBody>

const Share = Type.Optional(Type.Number({ minimum: OVERCOMMIT_MIN, maximum: OVERCOMMIT_MAX }))
const Bytes = Type.Optional(Type.Integer({ minimum: 0 }))

/** What is kept back from promises, and how many times the rest may be promised. What is not named stays as it is. */
export const NodeBody = Type.Object(
  {
    reserve: Type.Optional(
      Type.Object(
        { cpuCores: Type.Optional(Type.Number({ minimum: 0 })), memoryBytes: Bytes, diskBytes: Bytes },
        strict,
      ),
    ),
    overcommit: Type.Optional(Type.Object({ cpu: Share, memory: Share, disk: Share }, strict)),
  },
  strict,
)
export type NodeBody = Static<typeof NodeBody>

const rebalance = ClusterSettings.properties.rebalance.properties

/** What is not named stays as it is. */
export const ClusterBody = Type.Object(
  {
    policy: Type.Optional(PolicyName),
    survive: Type.Optional(ClusterSettings.properties.survive),
    preemption: Type.Optional(Type.Boolean()),
    rebalance: Type.Optional(
      Type.Object({ auto: Type.Optional(rebalance.auto), movesPerHour: Type.Optional(rebalance.movesPerHour) }, strict),
    ),
  },
  strict,
)
export type ClusterBody = Static<typeof ClusterBody>

export const ClusterDocument = Type.Object({ cluster: Type.String(), settings: ClusterSettings })
export type ClusterDocument = Static<typeof ClusterDocument>

/** What every change answers with: the world's revision that holds it, durably. */
export const ChangeAnswer = Type.Object({ revision: Count })
export type ChangeAnswer = Static<typeof ChangeAnswer>

/** `expiresAt`: when the join token stops counting; null: not before it is rotated. */
const ExpiresAt = Type.Union([Time, Type.Null()])

export const TokensAnswer = Type.Object({ join: Type.String(), command: Type.String(), expiresAt: ExpiresAt })
export type TokensAnswer = Static<typeof TokensAnswer>

/** A join token need not count for longer than it takes to join the hosts at hand. */
export const EXPIRES_IN_MS_MIN = 1_000
export const EXPIRES_IN_MS_MAX = 10 * 366 * 86_400_000

/** `expiresInMs` is for the join token; without it, that one counts until it is rotated. */
export const RotateBody = Type.Object(
  {
    rotate: Type.Union([Type.Literal('join'), Type.Literal('operator')]),
    expiresInMs: Type.Optional(Type.Integer({ minimum: EXPIRES_IN_MS_MIN, maximum: EXPIRES_IN_MS_MAX })),
  },
  strict,
)
export type RotateBody = Static<typeof RotateBody>
export const RotateAnswer = Type.Object({ token: Type.String(), expiresAt: ExpiresAt })
export type RotateAnswer = Static<typeof RotateAnswer>

/** A read-only token's name, as the audit log has it. */
const ReaderName = Type.String({ pattern: NAME_PATTERN })
export const ReaderBody = Type.Object({ name: ReaderName }, strict)
export type ReaderBody = Static<typeof ReaderBody>
export const ReaderParams = Type.Object({ name: Type.String({ maxLength: 63 }) })
export type ReaderParams = Static<typeof ReaderParams>
/** The token is told this once: only its hash is kept. */
export const ReaderAnswer = Type.Object({ name: Type.String(), token: Type.String() })
export type ReaderAnswer = Static<typeof ReaderAnswer>
export const ReadersDocument = Type.Object({ items: Type.Array(Type.Object({ name: Type.String(), createdAt: Time })) })
export type ReadersDocument = Static<typeof ReadersDocument>
