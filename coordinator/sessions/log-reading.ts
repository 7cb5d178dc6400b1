/**
 * What one reader of logs has: its tasks and how far it is in each, the nodes that send to it and what they may still send,
 * and the lines that wait to be taken. No sending here: log-streams.ts speaks to the agents.
 */
import type { Instant } from '../../shared/clock.ts'
import { advance, type LogPosition, passOver } from '../../shared/log-position.ts'
import { LOG_WINDOW_LINES, lineWeight } from '../../shared/wire/log-window.ts'
import type { LogFailure, LogLine } from '../../shared/wire/up.ts'
import type { LogBatch, LogReader, LogTarget } from '../core.ts'

export type LogQuery = Parameters<LogReader['read']>[0]

/** Over all nodes, so that a reader of many that does not read holds no more than one of few. */
export const READER_WINDOW_LINES = 16_000
const WINDOW_LINES_MIN = 64
/** An agent looks at its window between batches, so the last may go over; one that goes on regardless loses its lines. */
const OVERSHOOT_LINES_MAX = 10_000
const FAILURES_TOLD_MAX = 256

type ReadTask = {
  node: string
  /** How far the reader is; null: it has had no line of it. */
  position: LogPosition | null
  /** Tells lines that the reader has had, after the stream began anew. */
  isHad: ((at: number) => boolean) | null
  isNew: boolean
  /** When it stopped being wanted: its last lines may be still under way. */
  leftAt: Instant | null
}

type NodeStream = { window: number; taken: number; heardAt: Instant }

export class LogReading {
  readonly stream: string
  readonly query: LogQuery
  /** Nodes whose stream is open. */
  readonly streams = new Map<string, NodeStream>()
  /** When a stream ended that should not have. */
  readonly endedAt = new Map<string, Instant>()
  readonly #tasks = new Map<string, ReadTask>()
  readonly #openedAt = new Map<string, Instant>()
  readonly #told = new Set<string>()
  /** Nothing will come any more: since when. */
  goneAt: Instant | null = null
  #queue: LogLine[] = []
  #dropped = 0
  #missing = new Set<string>()
  #failures: NonNullable<LogBatch['failures']> = []

  constructor(stream: string, query: LogQuery) {
    this.stream = stream
    this.query = query
    for (const target of query.tasks) this.#add(target)
  }

  // ---------------------------------------------------------------- tasks

  /** Nodes with a task that is wanted. */
  nodes(): string[] {
    return [...new Set([...this.#tasks.values()].filter(({ leftAt }) => leftAt === null).map(({ node }) => node))]
  }

  /** Takes over the whole set of targets and gives those that are new, by node. Null: there will be none any more. */
  retarget(targets: LogTarget[] | null, now: Instant): Map<string, string[]> {
    this.goneAt = targets === null ? (this.goneAt ?? now) : null
    const wanted = new Map((targets ?? []).map((target) => [target.task, target]))
    for (const [id, task] of this.#tasks) task.leftAt = wanted.has(id) ? null : (task.leftAt ?? now)
    const added = new Map<string, string[]>()
    for (const target of wanted.values()) {
      if (this.#tasks.has(target.task)) continue
      this.#add({ isNew: true, ...target })
      added.set(target.node, [...(added.get(target.node) ?? []), target.task])
    }
    return added
  }

  #add({ task, node, after, isNew = false }: LogTarget): void {
    this.#tasks.set(task, { node, position: after ?? null, isHad: null, isNew, leftAt: null })
  }

  /** The tasks to ask a node for, and from when on those that the reader has had a part of. */
  request(node: string): { tasks: string[]; from: Record<string, number> | undefined } {
    const tasks = [...this.#tasks].filter(([, task]) => task.node === node && task.leftAt === null)
    const from = new Map<string, number>()
    for (const [id, task] of tasks) {
      const at = this.#startOf(task)
      if (at !== null) from.set(id, at)
    }
    return { tasks: tasks.map(([id]) => id), from: from.size === 0 ? undefined : Object.fromEntries(from) }
  }

  /** Null: where the query says. */
  #startOf({ position, isNew, node }: ReadTask): number | null {
    if (position !== null) return position.at
    if (isNew) return this.query.since ?? 0
    // Who wanted no past wants what came while the node was away.
    return this.query.tailLines === 0 ? (this.#openedAt.get(node) ?? null) : null
  }

  /** Gives the window that the node's stream begins with. */
  opened(node: string, now: Instant): number {
    const share = Math.floor(READER_WINDOW_LINES / Math.max(1, this.nodes().length))
    const window = Math.max(WINDOW_LINES_MIN, Math.min(LOG_WINDOW_LINES, share))
    this.streams.set(node, { window, taken: 0, heardAt: now })
    this.endedAt.delete(node)
    if (!this.#openedAt.has(node)) this.#openedAt.set(node, now)
    for (const task of this.#tasks.values()) {
      if (task.node === node) task.isHad = task.position === null ? null : passOver(task.position)
    }
    return window
  }

  /** Tasks that left are forgotten with the node that held the last of them. */
  closed(node: string): void {
    this.streams.delete(node)
    for (const [id, task] of this.#tasks) if (task.node === node && task.leftAt !== null) this.#tasks.delete(id)
  }

  /** Tasks that left so long ago that nothing of them is under way. Their streams go on for the others of their node. */
  forgetLeft(now: Instant, afterMs: number): void {
    for (const [id, { leftAt }] of this.#tasks) if (leftAt !== null && now - leftAt >= afterMs) this.#tasks.delete(id)
  }

  /** Nodes of which no task is wanted any more and nothing has come for `quietMs`. */
  idleNodes(now: Instant, quietMs: number): string[] {
    const wanted = new Set(this.nodes())
    return [...this.streams].flatMap(([node, { heardAt }]) => {
      if (wanted.has(node) || now - heardAt < quietMs) return []
      const left = [...this.#tasks.values()].filter((task) => task.node === node)
      return left.every(({ leftAt }) => leftAt !== null && now - leftAt >= quietMs) ? [node] : []
    })
  }

  // ---------------------------------------------------------------- lines

  /** Gives how many lines had no place. */
  take(node: string, lines: LogLine[], dropped: number, now: Instant): number {
    const stream = this.streams.get(node)
    if (stream === undefined) return 0
    stream.heardAt = now
    let lost = dropped
    for (const line of lines) {
      const weight = lineWeight(line)
      if (stream.window <= -OVERSHOOT_LINES_MAX) {
        lost += 1
        continue
      }
      stream.window -= weight
      stream.taken += weight
      if (this.#isNew(node, line)) this.#queue.push(line)
    }
    this.#dropped += lost
    return lost
  }

  /** A node speaks for its own tasks: lines that it gives as another's are nobody's. */
  #isNew(node: string, line: LogLine): boolean {
    const task = this.#tasks.get(line.task)
    if (task?.node !== node) return false
    if (task.isHad?.(line.at)) return false
    task.position = advance(task.position, line.at)
    return true
  }

  missing(node: string): void {
    this.#missing.add(node)
  }

  failed(node: string, failures: (Omit<LogFailure, 'task'> & { task: string | null })[]): void {
    for (const { task, message } of failures) {
      const key = `${node} ${task} ${message}`
      if (this.#told.has(key) || this.#told.size >= FAILURES_TOLD_MAX) continue
      this.#told.add(key)
      this.#failures.push({ node, task, message })
    }
  }

  get hasMore(): boolean {
    return this.#queue.length > 0 || this.#dropped > 0 || this.#missing.size > 0 || this.#failures.length > 0
  }

  /** All that waits. */
  takeBatch(): LogBatch {
    const batch: LogBatch = { lines: this.#queue, dropped: this.#dropped, missingNodes: [...this.#missing] }
    if (this.#failures.length > 0) batch.failures = this.#failures
    this.#queue = []
    this.#dropped = 0
    this.#missing = new Set()
    this.#failures = []
    return batch
  }

  /** How much each node may send again for what was taken or passed over. */
  takeGrants(): [node: string, lines: number][] {
    const grants: [string, number][] = []
    for (const [node, stream] of this.streams) {
      if (stream.taken === 0) continue
      grants.push([node, stream.taken])
      stream.window += stream.taken
      stream.taken = 0
    }
    return grants
  }
}
