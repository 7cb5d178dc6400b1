/** What the coordinator offers its own interfaces (api, sessions): the seam between them and the control loop. */
import type { FieldTest } from '../shared/log-field.ts'
import type { LogPosition } from '../shared/log-position.ts'
import type { LogLine } from '../shared/wire/up.ts'
import type { Change, EventRecord, Observation, World } from './world.ts'

export interface Core {
  /** Read only. Valid until the next await; never keep parts of it. */
  readonly world: World
  /**
   * Admits a change, applies it and resolves once it is durable, with the world's revision.
   * @throws BerthError when it is refused or the disk is; nothing has changed then.
   */
  submit(change: Change): Promise<number>
  /** Applies what an agent sent and marks what needs a look; returns at once. */
  observe(observation: Observation): void
  /**
   * Calls back when what the world says of assignments is durable: at once, or after the flush in flight. Whoever sends an
   * assignment without having been told by the Dispatcher (a new connection, a resync) reads the world in here.
   */
  whenDurable(callback: () => void): void
  /** Calls back after each beat that changed anything, at most once a beat. Returns the way to stop. */
  onBeat(listener: () => void): () => void
  events: EventHistory
}

/** `type`: kinds with commas between, a star at the end of one stands for anything. `since`: epoch milliseconds. */
export type EventFilter = { stack?: string; service?: string; node?: string; type?: string; since?: number }

export interface EventHistory {
  /** Events with a number above `after`, oldest first, at most `limit` (the newest ones when `after` is absent). */
  list(query: EventFilter & { after?: number; limit: number }): EventRecord[]
  /** The number of the oldest event that is kept; null without any. What has a lower one cannot be told any more. */
  oldest(): number | null
  onEvent(listener: (event: EventRecord) => void): () => void
}

/** A task whose lines are wanted, and where it is. */
export type LogTarget = {
  task: string
  /** Empty: it has gone, and only what is kept of it is wanted. */
  node: string
  /** The reader has had its lines up to here, over another line or in another life: it goes on behind them. */
  after?: LogPosition
  /** New to the reader: all its lines count, whatever `tailLines` says. */
  isNew?: boolean
}

/** Live logs, gathered from the agents that hold the tasks. Offered by sessions, used by the api. */
export interface LogReader {
  /**
   * Lines of the given tasks in the order they arrive (each task's own in order of time). Ends when all agents have ended
   * theirs, or on abort. `follow` ends only on abort, or when `watch` has said that there is nothing left.
   * @throws BerthError `too-many-requests`; `unreachable` when the coordinator stops before the end
   */
  read(query: {
    tasks: LogTarget[]
    tailLines?: number
    since?: number
    until?: number
    /** Only lines in which this regular expression is. */
    grep?: string
    /** Only lines that say they are at least of this level. */
    level?: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal'
    /** Only JSON lines whose fields meet all of these. */
    fields?: readonly FieldTest[]
    /** With so many lines of the task before and after each that is found. */
    context?: number
    follow: boolean
    signal: AbortSignal
    /** While following: calls back with all targets whenever they differ, with null when none will come. Returns the way to stop. */
    watch?: (targetsAre: (targets: LogTarget[] | null) => void) => () => void
  }): AsyncIterable<LogBatch>
  /** Tasks of these services of which lines are kept, also of those that have long gone. Absent: none are kept. */
  known?(asked: { services: string[]; task?: string }): { task: string; name: string; node: string }[]
  /** Services of which lines are kept. */
  services?(): string[]
}

export type LogBatch = {
  lines: LogLine[]
  /** Lines that were left out before these, since more came than could be sent. */
  dropped: number
  /** Nodes that have just turned out to be away. */
  missingNodes: string[]
  /** Logs that cannot be read, each told once. */
  failures?: { node: string; task: string | null; message: string }[]
}

/** Told by the loop after a beat's writes are durable. Sessions read the world and send what differs. */
export interface Dispatcher {
  nodesChanged(nodes: Iterable<string>): void
}
