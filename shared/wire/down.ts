/** What the coordinator says to an agent. One union; checked once at the door. */
import Type, { type Static } from '../schema.ts'
import { TaskSpec } from '../spec.ts'

const Id = Type.String({ minLength: 1, maxLength: 256 })
const Revision = Type.Integer({ minimum: 0 })

export const Welcome = Type.Object({
  kind: Type.Literal('welcome'),
  /** The wire version both will speak from here on. */
  version: Type.Integer({ minimum: 1 }),
  cluster: Id,
  heartbeatIntervalMs: Type.Integer({ minimum: 50 }),
  /** The coordinator's clock, to tell skew. */
  at: Type.Number(),
})
export type Welcome = Static<typeof Welcome>

/** The connection ends after this. `code` is one of shared/errors.ts. */
export const Refused = Type.Object({
  kind: Type.Literal('refused'),
  code: Type.String({ maxLength: 64 }),
  message: Type.String({ maxLength: 4096 }),
  /** False: trying again will not help until somebody mends the cause. */
  retry: Type.Boolean(),
})
export type Refused = Static<typeof Refused>

export const AssignedTask = Type.Object({
  id: Id,
  stack: Type.String({ maxLength: 128 }),
  /** Full name, STACK_SERVICE. */
  service: Type.String({ maxLength: 256 }),
  slot: Type.Integer({ minimum: 0 }),
  /** Key into the assignment's `specs`. */
  spec: Type.String({ maxLength: 64 }),
  desired: Type.Union([Type.Literal('running'), Type.Literal('stopped')]),
})
export type AssignedTask = Static<typeof AssignedTask>

const Specs = Type.Record(Type.String({ maxLength: 64 }), TaskSpec)

/** The whole set of tasks for one node. */
export const Assignment = Type.Object({
  kind: Type.Literal('assignment'),
  revision: Revision,
  specs: Specs,
  tasks: Type.Array(AssignedTask, { maxItems: 20_000 }),
})
export type Assignment = Static<typeof Assignment>

/** What differs from revision `base`. An agent that does not have `base` answers `resync`. */
export const AssignmentChange = Type.Object({
  kind: Type.Literal('assignment-change'),
  base: Revision,
  revision: Revision,
  /** Specs that `put` names and `base` did not hold; those no task names any more are dropped by the agent. */
  specs: Specs,
  put: Type.Array(AssignedTask, { maxItems: 20_000 }),
  remove: Type.Array(Id, { maxItems: 20_000 }),
})
export type AssignmentChange = Static<typeof AssignmentChange>

export const LogOpen = Type.Object({
  kind: Type.Literal('log-open'),
  stream: Id,
  tasks: Type.Array(Id, { maxItems: 20_000 }),
  /** Last so many lines of each task; absent: all there are. */
  tailLines: Type.Optional(Type.Integer({ minimum: 0 })),
  since: Type.Optional(Type.Number()),
  /** By task, for those of which the reader has had lines before: from when on. The two above do not count for them. */
  from: Type.Optional(Type.Record(Type.String({ maxLength: 256 }), Type.Number())),
  follow: Type.Boolean(),
  /** What the agent may send to begin with, see log-window.ts; absent: LOG_WINDOW_LINES. */
  window: Type.Optional(Type.Integer({ minimum: 1 })),
})
export type LogOpen = Static<typeof LogOpen>

/** More tasks for a stream that follows: all their lines since `since`, as they are new. */
export const LogAdd = Type.Object({
  kind: Type.Literal('log-add'),
  stream: Id,
  tasks: Type.Array(Id, { maxItems: 20_000 }),
  since: Type.Optional(Type.Number()),
})
export type LogAdd = Static<typeof LogAdd>

/**
 * The reader has taken so much of the stream (lines, weighed as in log-window.ts): the agent may send as much more. So a slow
 * reader holds up its own stream and never the heartbeats beside it.
 */
export const LogMore = Type.Object({
  kind: Type.Literal('log-more'),
  stream: Id,
  lines: Type.Integer({ minimum: 1 }),
})
export type LogMore = Static<typeof LogMore>

export const LogClose = Type.Object({ kind: Type.Literal('log-close'), stream: Id })
export type LogClose = Static<typeof LogClose>

const LogPlace = Type.Object({ file: Id, offset: Type.Integer({ minimum: 0 }) })

/**
 * Up to where the lines of containers are kept. `kept`: durable, what is beyond may be under way. `begin`: go on from here, nothing
 * beyond is under way; no place: from the first line. `refused`: its lines are not wanted.
 */
export const LogPlaces = Type.Object({
  kind: Type.Literal('log-places'),
  places: Type.Array(
    Type.Object({
      container: Id,
      what: Type.Union([Type.Literal('kept'), Type.Literal('begin'), Type.Literal('refused')]),
      place: Type.Optional(LogPlace),
    }),
    { maxItems: 20_000 },
  ),
})
export type LogPlaces = Static<typeof LogPlaces>

/** A reader wants all that has been written by now: answered by `log-looked` once it is kept. */
export const LogLook = Type.Object({ kind: Type.Literal('log-look'), look: Type.Integer({ minimum: 0 }) })
export type LogLook = Static<typeof LogLook>

/** Heartbeats are to come at another interval than the welcome said, beginning with one at once. */
export const HeartbeatInterval = Type.Object({
  kind: Type.Literal('heartbeat-interval'),
  heartbeatIntervalMs: Type.Integer({ minimum: 50 }),
})
export type HeartbeatInterval = Static<typeof HeartbeatInterval>

export const Certificate = Type.Object({
  kind: Type.Literal('certificate'),
  /** PEM of the certificate. */
  certificate: Type.String({ maxLength: 16_384 }),
})
export type Certificate = Static<typeof Certificate>

export const DownMessage = Type.Union([
  Welcome,
  Refused,
  Assignment,
  AssignmentChange,
  LogOpen,
  LogAdd,
  LogMore,
  LogClose,
  LogPlaces,
  LogLook,
  HeartbeatInterval,
  Certificate,
])
export type DownMessage = Static<typeof DownMessage>
