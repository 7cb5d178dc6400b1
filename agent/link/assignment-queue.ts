/** Assignments on their way to the supervisor, which keeps each on disk before the next: in order, and no more than a bounded number. */
import type { Assignment, AssignmentChange } from '../../shared/wire/down.ts'
import type { Supervisor } from '../parts.ts'

/** More than this waiting: the complete assignment is asked for instead. */
export const ASSIGNMENTS_WAITING_MAX = 256

export type AssignmentQueueNeeds = {
  supervisor: Pick<Supervisor, 'assign'>
  /** Ask for the complete assignment. */
  resync(reason: string): void
  /** It was older than what this agent has; nothing was done. */
  stale(reason: string): void
  /** It could not be kept on disk. What runs goes on running. */
  failed(message: string, error: unknown): void
}

export class AssignmentQueue {
  readonly #needs: AssignmentQueueNeeds
  #waiting: (Assignment | AssignmentChange)[] = []
  #busy = false

  constructor(needs: AssignmentQueueNeeds) {
    this.#needs = needs
  }

  put(message: Assignment | AssignmentChange): void {
    // A complete one makes those before it needless.
    if (message.kind === 'assignment') this.#waiting = []
    this.#waiting.push(message)
    if (this.#waiting.length > ASSIGNMENTS_WAITING_MAX) {
      this.#waiting = []
      this.#needs.resync(`${ASSIGNMENTS_WAITING_MAX} changes came faster than they could be kept on disk`)
    }
    if (!this.#busy) void this.#work()
  }

  async #work(): Promise<void> {
    this.#busy = true
    for (let message = this.#waiting.shift(); message !== undefined; message = this.#waiting.shift()) {
      await this.#assign(message)
    }
    this.#busy = false
  }

  async #assign(message: Assignment | AssignmentChange): Promise<void> {
    try {
      const result = await this.#needs.supervisor.assign(message)
      if (result.outcome === 'stale') this.#needs.stale(result.reason)
      if (result.outcome !== 'resync') return
      // Later changes build on this one, and the complete assignment holds them all; one that is here already answers it.
      const complete = this.#waiting.findIndex((waiting) => waiting.kind === 'assignment')
      this.#waiting = complete === -1 ? [] : this.#waiting.slice(complete)
      if (complete === -1) this.#needs.resync(result.reason)
    } catch (error) {
      this.#waiting = []
      this.#needs.failed(error instanceof Error ? error.message : String(error), error)
    }
  }
}
