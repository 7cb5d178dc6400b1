/** A target that does not take what it is sent: since when and why; told once if it lasts, and once when it is over. */
import type { Clock, Instant } from '../../shared/clock.ts'
import type { BerthError } from '../../shared/errors.ts'
import type { Log } from '../../shared/log.ts'
import type { NewEvent } from '../events.ts'

/** Of failures in a row, before it is told. */
const TOLD_AFTER_MS = 60_000

export type TroubleState = { since: Instant; why: string; failures: number }

export type Telling = {
  /** Of the target. */
  name: string
  tell: (event: NewEvent) => void
  clock: Pick<Clock, 'now'>
  log: Log
}

export class Trouble {
  readonly #telling: Telling
  /** What it does not take, and what becomes of it meanwhile: a sentence without its end. */
  readonly #what: { things: string; meanwhile: string }
  #isTold = false
  /** Null: there is none. */
  state: TroubleState | null = null

  constructor(telling: Telling, what: { things: string; meanwhile: string }) {
    this.#telling = telling
    this.#what = what
  }

  failed({ code, message }: BerthError): void {
    const { clock, log, name } = this.#telling
    const now = clock.now()
    const { since, failures } = this.state ?? { since: now, failures: 0 }
    this.state = { since, why: message, failures: failures + 1 }
    if (failures === 0) log.warn({ target: name, code }, `${message}; it is tried again`)
    if (this.#isTold || now - since < TOLD_AFTER_MS) return
    this.#isTold = true
    const seconds = Math.round((now - since) / 1000)
    tellOf(this.#telling, 'forward-failing', 'warning', `${message}, for ${seconds} s now. ${this.#what.meanwhile}`)
  }

  over(): void {
    const { state } = this
    const { name } = this.#telling
    this.state = null
    if (state === null || !this.#isTold) return
    this.#isTold = false
    const message = `target ${name} takes ${this.#what.things} again after ${state.failures} failures`
    tellOf(this.#telling, 'forward-recovered', 'info', message)
  }
}

/** As an event, and in the coordinator's own log. */
export function tellOf(
  { name, tell, clock, log }: Telling,
  kind: string,
  level: 'info' | 'warning',
  message: string,
): void {
  log[level === 'info' ? 'info' : 'warn']({ target: name }, message)
  tell({ at: clock.now(), kind, level, message, by: 'coordinator' })
}
