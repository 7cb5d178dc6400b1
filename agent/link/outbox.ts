/**
 * What waits to be told to the coordinator. The latest fact about a task replaces the older one that was waiting, so what waits is
 * bounded by the number of tasks, however long the wait; notices are bounded by number, the oldest going first.
 */
import { WIRE_TEXT_CHARS_MAX, wellFormedBrief } from '../../shared/text.ts'
import type { EngineInfo, Notice, TaskObservation } from '../../shared/wire/up.ts'
import type { ObservedChange } from '../parts.ts'

export const OUTBOX_NOTICES_MAX = 256

export type OutboxContent = {
  /** Null: nothing about tasks or the Engine waits. */
  change: ObservedChange | null
  notices: Notice[]
  /** Notices left out since the content before. */
  noticesDropped: number
}

export class Outbox {
  /** Told after each put; the connection's, while there is one. */
  listener: (() => void) | null = null
  #engine: EngineInfo | null = null
  readonly #tasks = new Map<string, TaskObservation>()
  readonly #gone = new Set<string>()
  #notices: Notice[] = []
  #noticesDropped = 0

  get isEmpty(): boolean {
    return this.#engine === null && this.#notices.length === 0
  }

  putChange(change: ObservedChange): void {
    this.#engine = change.engine
    for (const observation of change.tasks) {
      this.#gone.delete(observation.task)
      this.#tasks.set(observation.task, observation)
    }
    for (const task of change.gone) {
      this.#tasks.delete(task)
      this.#gone.add(task)
    }
    this.listener?.()
  }

  putNotice(notice: Notice): void {
    this.#notices.push({ ...notice, message: wellFormedBrief(notice.message, WIRE_TEXT_CHARS_MAX) })
    if (this.#notices.length > OUTBOX_NOTICES_MAX) {
      this.#notices.shift()
      this.#noticesDropped++
    }
    this.listener?.()
  }

  /** For a connection that begins with everything complete. Notices stay: nothing else tells them. */
  forgetChanges(): void {
    this.#engine = null
    this.#tasks.clear()
    this.#gone.clear()
  }

  /** Gives out everything; empty afterwards. */
  take(): OutboxContent {
    const change =
      this.#engine === null ? null : { engine: this.#engine, tasks: [...this.#tasks.values()], gone: [...this.#gone] }
    const content = { change, notices: this.#notices, noticesDropped: this.#noticesDropped }
    this.forgetChanges()
    this.#notices = []
    this.#noticesDropped = 0
    return content
  }
}
