/**
 * Brings the lines of the log store to one target: a batch, until the target has taken it, then the next. Its position is on the
 * disk a moment after; what was taken since comes again when the coordinator is killed, and nothing is left out.
 */
import type { Clock, Instant } from '../../shared/clock.ts'
import type { ForwardTarget } from '../../shared/forwarding/config.ts'
import type { Log } from '../../shared/log.ts'
import { waitMs } from '../decide/forwarding/answers.ts'
import type { NewEvent } from '../events.ts'
import { type Batch, type Behind, type Counted, KeptBatches } from './kept-batches.ts'
import type { ForwardLine } from './line.ts'
import { NowAndThen } from './now-and-then.ts'
import type { KeptLogs, Position } from './position.ts'
import type { Sender } from './senders/sender.ts'
import { type Telling, Trouble, type TroubleState, tellOf } from './trouble.ts'

export type LineForwarderOptions = {
  target: ForwardTarget
  sender: Sender
  store: KeptLogs
  position: Position
  writePosition: (position: Position) => Promise<void>
  /** One batch is made at a time, whichever target it is for. */
  inTurn: <Result>(work: () => Promise<Result>) => Promise<Result>
  tell: (event: NewEvent) => void
  clock: Clock
  /** From 0 to 1. */
  chance: () => number
  log: Log
}

/** `retrying`: since when, why, and when next. */
export type ForwardState = { name: 'ok' } | ({ name: 'retrying'; nextAt: Instant } & TroubleState)

export type ForwardCounts = {
  /** Taken by the target. */
  lines: number
  bytes: number
  batches: number
  /** The target said that it never will. */
  refused: number
  /** Gone before they could be sent. */
  skipped: number
  failures: number
}

/** How long is waited for more lines. */
const BATCH_EVERY_MS = 1_000
const POSITION_EVERY_MS = 1_000

export class LineForwarder {
  readonly #options: LineForwarderOptions
  readonly #batches: KeptBatches
  readonly #refused: NowAndThen
  readonly #skipped: NowAndThen
  readonly counts: ForwardCounts = { lines: 0, bytes: 0, batches: 0, refused: 0, skipped: 0, failures: 0 }
  readonly #trouble: Trouble
  #nextAt: Instant = 0
  /** When there was nothing to send. */
  #doneAt: Instant = 0
  #writtenAt = Number.NEGATIVE_INFINITY
  #written: Position

  constructor(options: LineForwarderOptions) {
    this.#options = options
    const { store, position, target, clock } = options
    this.#batches = new KeptBatches(store, position, target.logs!, clock.monotonicMs)
    this.#written = position
    const telling: Telling = { ...options, name: target.name }
    const meanwhile = 'Its lines wait in the log store for as long as that keeps them'
    this.#trouble = new Trouble(telling, { things: 'lines', meanwhile })
    this.#refused = new NowAndThen(({ lines }, why) => {
      const message = `target ${target.name} refuses ${lines} lines, which it will not get: ${why}`
      tellOf(telling, 'forward-refused', 'warning', message)
    })
    this.#skipped = new NowAndThen(({ lines, rawBytes }, why) => {
      const message = `${lines} lines (${rawBytes} bytes) were not forwarded to target ${target.name}: ${why}`
      tellOf(telling, 'forward-skipped', 'warning', message)
    })
  }

  /** Until the signal is aborted; then its position is on the disk. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, log, target } = this.#options
    while (!signal.aborted) {
      try {
        const isFull = await this.#once(signal)
        if (!isFull) await clock.sleep(BATCH_EVERY_MS, signal)
      } catch (error) {
        if (signal.aborted) break
        // Whatever breaks here must not end the forwarding.
        this.#batches.rewind()
        log.error({ err: error, target: target.name }, 'lines could not be forwarded; it is tried again')
        await clock.sleep(BATCH_EVERY_MS, signal).catch(() => {})
      }
    }
    await this.#keepPosition()
  }

  /** Null: there is none. */
  get trouble(): TroubleState | null {
    return this.#trouble.state
  }

  get state(): ForwardState {
    const { trouble } = this
    return trouble === null ? { name: 'ok' } : { name: 'retrying', nextAt: this.#nextAt, ...trouble }
  }

  /** Of what the target has. */
  get position(): Position {
    return this.#batches.position
  }

  /** How far the target is behind. Seconds are those since the oldest line that waits was kept, at most. */
  behind(): Counted & { seconds: number } {
    const { lines, rawBytes, since }: Behind = this.#batches.behind()
    const from = since === null ? null : Math.max(since, this.#doneAt)
    return { lines, rawBytes, seconds: from === null ? 0 : Math.max(0, this.#options.clock.now() - from) / 1000 }
  }

  /** Whether there is more to send at once. */
  async #once(signal: AbortSignal): Promise<boolean> {
    const { clock, inTurn, sender } = this.#options
    this.#skip(this.#batches.look(), 'the log store kept them no longer (--logs-size, --logs-age)')
    const startedAt = clock.now()
    const batch = await inTurn(() =>
      this.#batches.next(sender.batchBytes, (lost) => this.#skip(lost, 'they cannot be read from the log store')),
    )
    if (batch !== null) await this.#send(batch, signal)
    if (batch === null || !batch.isFull) this.#doneAt = startedAt
    if (clock.monotonicMs() - this.#writtenAt >= POSITION_EVERY_MS) await this.#keepPosition()
    this.#refused.look(clock.monotonicMs())
    this.#skipped.look(clock.monotonicMs())
    return batch?.isFull ?? false
  }

  /** @throws when the signal is aborted before the target had it */
  async #send(batch: Batch, signal: AbortSignal): Promise<void> {
    if (batch.lines.length > 0) await this.#untilTaken(batch.lines, signal)
    this.#batches.commit()
  }

  async #untilTaken(lines: readonly ForwardLine[], signal: AbortSignal): Promise<void> {
    const { sender, clock, chance } = this.#options
    for (let failures = 1; ; failures += 1) {
      const answer = await sender.send(lines, signal)
      if (answer.kind === 'taken') {
        this.counts.lines += lines.length - answer.refused
        this.counts.bytes += answer.bytes
        this.counts.batches += 1
        this.counts.refused += answer.refused
        if (answer.refused > 0) this.#refused.add({ lines: answer.refused, rawBytes: 0 }, answer.why)
        return this.#trouble.over()
      }
      signal.throwIfAborted()
      const ms = waitMs(failures, answer.waitMs, chance())
      this.counts.failures += 1
      this.#nextAt = clock.now() + ms
      this.#trouble.failed(answer.failure)
      // What waits meanwhile may be overtaken.
      await clock.sleep(ms, signal)
      this.#skip(this.#batches.look(), 'the log store kept them no longer (--logs-size, --logs-age)')
      this.#skipped.look(clock.monotonicMs())
    }
  }

  #skip(counted: Counted, why: string): void {
    if (counted.lines === 0 && counted.rawBytes === 0) return
    this.counts.skipped += counted.lines
    this.#skipped.add(counted, why)
  }

  /** What cannot be kept now is kept the next time. */
  async #keepPosition(): Promise<void> {
    const { log, target, writePosition, clock } = this.#options
    const { position } = this.#batches
    this.#writtenAt = clock.monotonicMs()
    if (position === this.#written) return
    try {
      await writePosition(position)
      this.#written = position
    } catch (error) {
      log.error({ err: error, target: target.name }, 'a position could not be kept; it is tried again')
    }
  }
}
