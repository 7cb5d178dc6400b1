/** The seams between the agent's parts: supervisor (containers), load meter, log tail, link. main.ts joins them. */
import type { Instant } from '../shared/clock.ts'
import type { ContainerLoad, HostLoad } from '../shared/load.ts'
import type { Sampling } from '../shared/spec.ts'
import type { Assignment, AssignmentChange, LogAdd, LogOpen, LogPlaces } from '../shared/wire/down.ts'
import type { LogBlock } from '../shared/wire/log-block.ts'
import type {
  Devices,
  EngineInfo,
  LastMinute,
  LogFailure,
  LogLine,
  NodeInventory,
  TaskError,
  TaskObservation,
} from '../shared/wire/up.ts'
import type { Sign } from './decide/sampling.ts'

/** What the agent knows about one of its containers that measuring and tailing need. */
export type ContainerHandle = {
  task: string
  containerId: string
  attempt: number
  /** PID 1 of the container, by the host's numbering; 0 when it does not run. */
  pid: number
  /** The json-file log, when the Engine keeps one that this process can read. */
  logPath: string | null
  /** How many files of it the Engine keeps; absent: it throws none away, or has but one. */
  logFilesMax?: number
  memoryBytesLimit: number | null
  /** How long its latest health test took; absent: none is known of. */
  healthCheckMs?: number
  /** Why it is to be looked at closely; absent: nothing speaks for it. */
  sign?: Sign
  /** What its service asks for; absent: SAMPLING_DEFAULTS. */
  sampling?: Sampling
}

export type ObservedChange = {
  engine: EngineInfo
  tasks: TaskObservation[]
  gone: string[]
}

export type AssignOutcome =
  | { outcome: 'applied' }
  /** Older than what the agent has; nothing was done. */
  | { outcome: 'stale'; reason: string }
  /** Does not build on what the agent has; ask for the complete one. */
  | { outcome: 'resync'; reason: string }

/** Owns the containers: the one loop that makes the Engine show what the assignment says. */
export interface Supervisor {
  /** Runs until aborted. Containers go on afterwards. */
  run(signal: AbortSignal): Promise<void>
  /** Keeps the assignment on disk (durable before it is acted on) and marks what changed. */
  assign(message: Assignment | AssignmentChange): Promise<AssignOutcome>
  readonly revision: number
  /**
   * Everything known now, for the beginning of a connection; of tasks nothing before the Engine has shown its containers. Resolves once
   * it was listed (or found down).
   */
  observeAll(): Promise<ObservedChange>
  /** What changed since the call before; each task at most once a call. Returns the way to stop. */
  onChange(listener: (change: ObservedChange) => void): () => void
  onNotice(listener: (notice: { code: string; message: string; task?: string }) => void): () => void
  containers(): ContainerHandle[]
}

/** Reads /proc and cgroup files through kept descriptors: of the host each time, of each container as often as its pace says. */
export interface LoadMeter {
  /** `containers` names only those whose load changed noticeably since last named; with `all` (a new connection), every one. */
  sample(containers: ContainerHandle[], options?: { all?: boolean }): { load: HostLoad; containers: ContainerLoad[] }
  /** Of this run of the task, up to `now` or to its end, in steps of a second; null: nothing is known of it. */
  lastMinute(task: string, attempt: number, now: Instant): LastMinute | null
  /** What has gone through each of the host's devices; null: not known of this host. */
  devices(): Omit<Devices, 'kind'> | null
  close(): void
}

/** The slow facts (systeminformation), read once and again every few minutes; `anew`: now. */
export type ReadInventory = (options?: { anew?: boolean }) => Promise<NodeInventory>

export type LogSink = {
  /** False: the queue is full; wait for `drained` before the next. */
  lines(stream: string, lines: LogLine[], dropped: number): boolean
  drained(): Promise<void>
  /** The log of one of the tasks cannot be read; the stream goes on. */
  failed(stream: string, failure: LogFailure): void
  end(stream: string, error?: TaskError): void
}

/** Log streams asked for by the coordinator. One that follows ends only when it is closed. */
export interface LogTail {
  open(request: LogOpen, sink: LogSink): void
  /** More tasks for a stream that follows. */
  add(request: LogAdd): void
  close(stream: string): void
  closeAll(): void
}

/** A connection on which log lines may go. */
export type ShippingLine = {
  /** Asks where to begin with these containers. */
  sources(sources: { container: string; task: string }[]): void
  blocks(blocks: LogBlock[]): void
  looked(look: number): void
  /** False while the socket is full: `flushed` is told when it is not any more. */
  hasRoom(): boolean
}

/** Brings what containers write to the coordinator, which keeps it. */
export interface LogShipper {
  begin(line: ShippingLine): void
  places(message: LogPlaces): void
  /** Answers `looked` once all that has been written by now is kept, or after a moment. */
  look(look: number): void
  flushed(): void
  /** The connection is gone, and what was under way with it. */
  end(): void
}

/** The connection to the coordinator: connects, greets, reconnects with back-off, renews the certificate. */
export interface Link {
  run(signal: AbortSignal): Promise<void>
}
