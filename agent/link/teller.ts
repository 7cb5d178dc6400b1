/** What the agent tells of its host over one connection: everything once, then only what changes, and heartbeats. */
import { troubleIn } from '../../shared/bad-transition.ts'
import type { Clock } from '../../shared/clock.ts'
import type { Log } from '../../shared/log.ts'
import { LAST_MINUTES_MAX } from '../../shared/wire/bounds.ts'
import type { LastMinute, TaskObservation, UpMessage } from '../../shared/wire/up.ts'
import { DEVICES_SINCE, LAST_MINUTES_SINCE } from '../../shared/wire/version.ts'
import type { LoadMeter, Supervisor } from '../parts.ts'
import type { Outbox } from './outbox.ts'

/** Above this much unsent, observations wait in the outbox, where newer ones replace them, and heartbeats are left out. */
const UNSENT_BYTES_MAX = 1024 * 1024
/** As often as Prometheus usually asks. */
const DEVICES_EVERY_MS = 15_000

export type TellerNeeds = {
  supervisor: Pick<Supervisor, 'revision' | 'observeAll' | 'containers'>
  loadMeter: LoadMeter
  outbox: Outbox
  clock: Clock
  log: Log
  send(message: UpMessage): void
  unsentBytes(): number
}

export class Teller {
  readonly #needs: TellerNeeds
  /** The full observation has gone out: changes may follow. */
  #mayTellChanges = false
  /** It went out while the Engine was down: what it does not name, or names less far than before, proves nothing. */
  #isUnproven = false
  #flushWaits = false
  #ended = false
  #sequence = 0
  /** The next heartbeat names every container: the coordinator has not heard of them, or not of all. */
  #nameAllContainers = true
  /** Of the connection, as agreed. */
  #version = 0
  /** Of tasks that went bad: what of, when their last minute was told. */
  readonly #troubles = new Map<string, string>()
  #devicesToldMs = Number.NEGATIVE_INFINITY

  constructor(needs: TellerNeeds) {
    this.#needs = needs
  }

  /** Everything known now. What waited in the outbox is in it; what changes from here on follows. */
  async begin(version: number): Promise<void> {
    this.#version = version
    const { supervisor, clock, outbox, send } = this.#needs
    outbox.forgetChanges()
    outbox.listener = () => this.#markFlush()
    const observed = await supervisor.observeAll()
    if (this.#ended) return
    this.#tellLastMinutes(observed.tasks)
    const { revision } = supervisor
    send({ kind: 'observation', full: true, revision, at: clock.now(), ...observed })
    this.#isUnproven = observed.engine.state === 'down'
    this.#mayTellChanges = true
    this.#markFlush()
  }

  beat(): void {
    const { supervisor, loadMeter, clock, send, unsentBytes } = this.#needs
    if (unsentBytes() > UNSENT_BYTES_MAX) {
      this.#nameAllContainers = true
      return
    }
    const sample = loadMeter.sample(supervisor.containers(), { all: this.#nameAllContainers })
    this.#nameAllContainers = false
    const { revision } = supervisor
    send({ kind: 'heartbeat', sequence: this.#sequence++, at: clock.now(), revision, ...sample })
    this.#tellDevices()
  }

  /** The network has taken something: there may be room for what waits. */
  flushed(): void {
    if (!this.#needs.outbox.isEmpty) this.#markFlush()
  }

  end(): void {
    this.#ended = true
    this.#needs.outbox.listener = null
  }

  /** Everything marked in one turn of the event loop goes out together, and at once. */
  #markFlush(): void {
    if (!this.#mayTellChanges || this.#flushWaits) return
    this.#flushWaits = true
    this.#needs.clock.soon(() => {
      this.#flushWaits = false
      if (!this.#ended && this.#needs.unsentBytes() <= UNSENT_BYTES_MAX) this.#flush()
    })
  }

  #flush(): void {
    const { outbox, supervisor, clock, log, send } = this.#needs
    const { change, notices, noticesDropped } = outbox.take()
    const { revision } = supervisor
    if (change !== null && this.#isUnproven && change.engine.state !== 'down') this.#beginAnew()
    else if (change !== null) {
      this.#tellLastMinutes(change.tasks)
      for (const task of change.gone) this.#troubles.delete(task)
      send({ kind: 'observation', full: false, revision, at: clock.now(), ...change })
    }
    for (const notice of notices) send(notice)
    if (noticesDropped > 0) log.warn({ noticesDropped }, `${noticesDropped} notices were not told to the coordinator`)
  }

  /** The Engine is up, and now everything counts. The change that told so is part of it. */
  #beginAnew(): void {
    this.#mayTellChanges = false
    void this.begin(this.#version)
  }

  /** Of those that are told to have gone bad: before that is told, since the coordinator takes it down as it hears of it. */
  #tellLastMinutes(observations: readonly TaskObservation[]): void {
    if (this.#version < LAST_MINUTES_SINCE) return
    const { loadMeter, clock, send } = this.#needs
    const tasks: LastMinute[] = []
    for (const seen of observations) {
      const lastMinute = this.#isBadNews(seen) ? loadMeter.lastMinute(seen.task, seen.attempt, clock.now()) : null
      if (lastMinute !== null && tasks.length < LAST_MINUTES_MAX) tasks.push(lastMinute)
    }
    if (tasks.length > 0) send({ kind: 'last-minutes', tasks })
  }

  #tellDevices(): void {
    const { loadMeter, clock, send } = this.#needs
    const nowMs = clock.monotonicMs()
    if (this.#version < DEVICES_SINCE || nowMs - this.#devicesToldMs < DEVICES_EVERY_MS) return
    this.#devicesToldMs = nowMs
    const devices = loadMeter.devices()
    if (devices !== null) send({ kind: 'devices', ...devices })
  }

  #isBadNews(seen: TaskObservation): boolean {
    const trouble = troubleIn(seen)
    const told = trouble === null ? null : `${seen.attempt} ${trouble}`
    const isNews = told !== null && this.#troubles.get(seen.task) !== told
    if (told === null) this.#troubles.delete(seen.task)
    else this.#troubles.set(seen.task, told)
    return isNews
  }
}
