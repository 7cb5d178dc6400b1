/**
 * Sends the figures of this moment to one target, at its interval. They are not spooled: what a target was away for is in
 * `GET /v1/metrics`, and its counters go on.
 */
import type { Clock } from '../../shared/clock.ts'
import { BerthError } from '../../shared/errors.ts'
import type { ForwardTarget } from '../../shared/forwarding/config.ts'
import type { Log } from '../../shared/log.ts'
import type { NewEvent } from '../events.ts'
import { partialSuccess } from './formats/otlp.ts'
import { type MetricsPicture, otlpMetrics } from './formats/otlp-metrics.ts'
import { type HttpPoster, httpPoster, saidBy } from './senders/http.ts'
import { Trouble, type TroubleState } from './trouble.ts'

export type MetricsForwarderOptions = {
  target: ForwardTarget
  picture: () => MetricsPicture
  tell: (event: NewEvent) => void
  clock: Clock
  limitMs: number
  log: Log
}

export type MetricsCounts = { sent: number; failed: number }

const METRICS_PATH = '/v1/metrics'

export class MetricsForwarder {
  readonly #options: MetricsForwarderOptions
  readonly #poster: HttpPoster
  readonly counts: MetricsCounts = { sent: 0, failed: 0 }
  readonly #trouble: Trouble

  constructor(options: MetricsForwarderOptions) {
    this.#options = options
    const telling = { ...options, name: options.target.name }
    this.#trouble = new Trouble(telling, { things: 'figures', meanwhile: 'What it does not get it will not get later' })
    this.#poster = httpPoster(options.target, METRICS_PATH, options.clock.now, options.limitMs)
  }

  /** Until the signal is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, log, target } = this.#options
    while (!signal.aborted) {
      await this.#sendOne(signal).catch((err: unknown) =>
        log.error({ err, target: target.name }, 'figures could not be forwarded; it is tried again'),
      )
      await clock.sleep(target.metrics!.everyMs, signal).catch(() => {})
    }
    this.close()
  }

  close(): void {
    this.#poster.close()
  }

  async #sendOne(signal: AbortSignal): Promise<void> {
    const failure = await this.send(signal)
    if (signal.aborted) return
    this.counts[failure === null ? 'sent' : 'failed'] += 1
    if (failure === null) this.#trouble.over()
    else this.#trouble.failed(failure)
  }

  /** Since when and why the target does not take them; null: it did, the last time. */
  get trouble(): TroubleState | null {
    return this.#trouble.state
  }

  /** Null: the target has them. Else why not. */
  async send(signal: AbortSignal): Promise<BerthError | null> {
    const { picture, target } = this.#options
    for (const body of otlpMetrics(picture())) {
      const answer = await this.#poster.post(body, signal)
      if (answer.verdict === 'later') return answer.failure
      if (answer.verdict !== 'taken') return new BerthError('failed', `target ${target.name}: ${answer.why}`)
      const partial = partialSuccess(answer.text)
      if (partial === null) continue
      return new BerthError('failed', `target ${target.name} did not take some${saidBy(target, partial.why)}`)
    }
    return null
  }
}
