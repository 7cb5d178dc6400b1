/** Tells what changed: what settles at once, what is on its way a moment later, so that a quick start is one message, not three. */
import type { Clock, Timer } from '../shared/clock.ts'
import { WIRE_TEXT_CHARS_MAX, wellFormedBrief, wellFormedCut } from '../shared/text.ts'
import type { EngineInfo, TaskObservation } from '../shared/wire/up.ts'
import { type Activity, observe, sameObservation } from './decide/observe.ts'
import type { ObservedChange } from './parts.ts'
import { pictureOf, type TaskRecord } from './task-record.ts'

/**
 * How long pulling, starting and stopping may last before they are told. Most starts are over sooner, also on a busy host: one
 * message less for each, and one beat and one flush less at the coordinator.
 */
export const PASSING_STATE_DELAY_MS = 1_000

export class Reporter {
  private readonly listeners = new Set<(change: ObservedChange) => void>()
  /** Since when, in monotonic time. */
  private readonly dirty = new Map<TaskRecord, number>()
  private readonly gone = new Set<string>()
  /** No container has been looked at yet: what is remembered of tasks says nothing of what became of them meanwhile. */
  private isBlind = true
  private engine: EngineInfo
  private engineChanged = false
  private soon = false
  private later: Timer | null = null
  private readonly clock: Pick<Clock, 'now' | 'monotonicMs' | 'after'>

  constructor(engine: EngineInfo, clock: Pick<Clock, 'now' | 'monotonicMs' | 'after'>) {
    this.engine = engine
    this.clock = clock
  }

  onChange(listener: (change: ObservedChange) => void): () => void {
    this.listeners.add(listener)
    return () => this.listeners.delete(listener)
  }

  engineIs(given: EngineInfo): void {
    const engine = fitting(given)
    if (JSON.stringify(engine) === JSON.stringify(this.engine)) return
    this.engine = engine
    this.engineChanged = true
    this.flushSoon()
  }

  /** The Engine has shown its containers; from now on tasks are told of. */
  sees(): void {
    this.isBlind = false
  }

  /** Something about the task may have changed. */
  mark(record: TaskRecord): void {
    this.gone.delete(record.id)
    if (!this.dirty.has(record)) this.dirty.set(record, this.clock.monotonicMs())
    if (record.activity) this.flushIn(PASSING_STATE_DELAY_MS)
    else this.flushSoon()
  }

  markGone(record: TaskRecord): void {
    this.dirty.delete(record)
    this.gone.add(record.id)
    this.flushSoon()
  }

  all(records: Iterable<TaskRecord>): ObservedChange {
    const tasks: TaskObservation[] = []
    for (const record of this.isBlind ? [] : records) {
      const seen = this.look(record)
      if (!seen) continue
      record.told = seen
      tasks.push(seen)
    }
    return { engine: this.engine, tasks, gone: [] }
  }

  close(): void {
    this.later?.stop()
    this.listeners.clear()
  }

  private look(record: TaskRecord): TaskObservation | null {
    record.observation = observe(pictureOf(record), activityOf(record), record.observation, this.clock.now())
    return record.observation
  }

  private flushSoon(): void {
    if (this.soon) return
    this.soon = true
    queueMicrotask(() => {
      this.soon = false
      this.flush()
    })
  }

  private flushIn(delayMs: number): void {
    this.later ??= this.clock.after(delayMs, () => {
      this.later = null
      this.flush()
    })
  }

  /** Tells what has settled, and what has been on its way for long enough. */
  private flush(): void {
    const tasks: TaskObservation[] = []
    const now = this.clock.monotonicMs()
    for (const [record, since] of this.isBlind ? [] : this.dirty) {
      const waitMs = record.activity ? since + PASSING_STATE_DELAY_MS - now : 0
      if (waitMs > 0) {
        this.flushIn(Math.ceil(waitMs))
        continue
      }
      this.dirty.delete(record)
      const seen = this.look(record)
      if (!seen || sameObservation(record.told, seen)) continue
      record.told = seen
      tasks.push(seen)
    }
    const change: ObservedChange = { engine: this.engine, tasks, gone: [...this.gone] }
    const anything = tasks.length > 0 || this.gone.size > 0 || this.engineChanged
    this.gone.clear()
    this.engineChanged = false
    if (anything) for (const listener of this.listeners) listener(change)
  }
}

/** A container that may just be being made has yet to be removed: its task has not stopped. */
function activityOf(record: TaskRecord): Activity {
  const isLeaving = record.assigned?.desired === 'stopped' && record.operation?.kind === 'launch'
  return record.activity ?? (isLeaving ? 'stopping' : null)
}

/** What an Engine says of itself, and others of it, within what a message may hold. */
function fitting({ state, message, version, apiVersion }: EngineInfo): EngineInfo {
  const engine: EngineInfo = { state }
  if (message !== undefined) engine.message = wellFormedBrief(message, WIRE_TEXT_CHARS_MAX)
  if (version !== undefined) engine.version = wellFormedCut(version, 128)
  if (apiVersion !== undefined) engine.apiVersion = wellFormedCut(apiVersion, 32)
  return engine
}
