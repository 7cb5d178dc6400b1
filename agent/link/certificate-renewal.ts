/** Asks for the next certificate in time, over one connection, and keeps it. */
import type { Clock, Instant } from '../../shared/clock.ts'
import type { Log } from '../../shared/log.ts'
import type { UpMessage } from '../../shared/wire/up.ts'
import { type Identity, renewIdentity, requestFor } from './identity.ts'
import { renewalDueAt, renewalRepeatMs } from './renewal.ts'
import type { Timers } from './timers.ts'

export type CertificateRenewalNeeds = {
  clock: Pick<Clock, 'monotonicMs'>
  identity: Identity
  dataDir: string
  timers: Timers
  random: () => number
  log: Log
  send(message: UpMessage): void
  renewed(identity: Identity): void
}

export class CertificateRenewal {
  readonly #needs: CertificateRenewalNeeds
  #identity: Identity
  /** Certificates are dated by the coordinator's clock; this host's may be hours off. */
  #coordinatorNow: () => Instant = () => 0
  #ended = false

  constructor(needs: CertificateRenewalNeeds) {
    this.#needs = needs
    this.#identity = needs.identity
  }

  /** `coordinatorAt`: the coordinator's time just now. */
  begin(coordinatorAt: Instant): void {
    this.#coordinatorNow = goingOnFrom(coordinatorAt, this.#needs.clock)
    this.#plan()
  }

  /** The connection goes on with the certificate it began with; the next one shows the new one. */
  async received(certificate: string): Promise<void> {
    const { dataDir, log, renewed } = this.#needs
    try {
      this.#identity = await renewIdentity(dataDir, this.#identity, certificate)
      renewed(this.#identity)
      log.info({ validUntil: this.#identity.validUntil }, 'the certificate was renewed')
      // Never at once again, whatever the clocks say.
      if (!this.#ended) this.#plan(renewalRepeatMs(this.#identity))
    } catch (error) {
      log.error({ error }, 'the renewed certificate could not be kept; it will be asked for again')
    }
  }

  end(): void {
    this.#ended = true
  }

  #plan(atLeastMs = 0): void {
    const { timers, random } = this.#needs
    const dueMs = renewalDueAt(this.#identity, random()) - this.#coordinatorNow()
    timers.after(Math.max(atLeastMs, dueMs), () => this.#ask())
  }

  #ask(): void {
    const { timers, send } = this.#needs
    const asked = this.#identity
    send({ kind: 'certificate-request', request: requestFor(asked.keyPem, asked.node) })
    timers.after(renewalRepeatMs(asked), () => {
      if (this.#identity === asked) this.#ask()
    })
  }
}

/** A clock that was told once and is kept going by ours: its hour may be wrong, its seconds are not. */
function goingOnFrom(at: Instant, clock: Pick<Clock, 'monotonicMs'>): () => Instant {
  const toldAt = clock.monotonicMs()
  return () => at + clock.monotonicMs() - toldAt
}
