/** One connection, from the first packet to its end: hello, welcome, everything complete both ways, then what changes. */
import type { Clock } from '../../shared/clock.ts'
import type { Log } from '../../shared/log.ts'
import { decodeDown, encode } from '../../shared/wire/codec.ts'
import type { DownMessage, Welcome } from '../../shared/wire/down.ts'
import { encodeLogFrame } from '../../shared/wire/log-block.ts'
import type { Hello, UpMessage } from '../../shared/wire/up.ts'
import type { LoadMeter, LogShipper, LogTail, ReadInventory, Supervisor } from '../parts.ts'
import { AssignmentQueue } from './assignment-queue.ts'
import { CertificateRenewal } from './certificate-renewal.ts'
import { type Heartbeat, startHeartbeat } from './heartbeat.ts'
import { newHello } from './hello.ts'
import type { Identity } from './identity.ts'
import { InventoryTeller } from './inventory-teller.ts'
import type { LinkOptions } from './link.ts'
import { createLogSinks, LOG_BUFFERED_BYTES_MAX, type LogSinks } from './log-sinks.ts'
import type { Outbox } from './outbox.ts'
import type { Outside } from './outside.ts'
import { PeerWatch } from './peer-watch.ts'
import type { CoordinatorSocket } from './socket.ts'
import { Teller } from './teller.ts'
import { Timers } from './timers.ts'
import type { LinkTimes } from './times.ts'

export type ConnectionEnd =
  | { kind: 'lost'; why: string }
  | { kind: 'refused'; why: string; retry: boolean; code: string }

export type ConnectionNeeds = {
  options: LinkOptions
  outside: Outside
  identity: Identity
  /** Of this start of the agent. */
  instance: string
  supervisor: Supervisor
  logTail: LogTail
  /** Absent: nothing is brought to the coordinator that it does not ask for. */
  logShipper?: LogShipper
  loadMeter: LoadMeter
  inventory: ReadInventory
  outbox: Outbox
  log: Log
  clock: Clock
  random: () => number
  times: LinkTimes
  /** Aborted: says goodbye and ends. */
  signal: AbortSignal
  welcomed(): void
  renewed(identity: Identity): void
}

/** Resolves when the connection has ended; never rejects for what the network or the coordinator does. */
export async function holdConnection(needs: ConnectionNeeds): Promise<ConnectionEnd> {
  let hello: Hello
  try {
    hello = await newHello(needs)
  } catch (error) {
    return { kind: 'lost', why: `this host could not be looked at: ${error}` }
  }
  if (needs.signal.aborted) return { kind: 'lost', why: 'the agent stops' }
  return new Promise((resolve) => {
    new Connection(needs, hello, resolve)
  })
}

/** Above this much unsent, log lines wait in their files, so that they never stand in the way of observations for long. */
const SHIPPING_BUFFERED_BYTES_MAX = 4 * LOG_BUFFERED_BYTES_MAX

class Connection {
  readonly #needs: ConnectionNeeds
  readonly #resolve: (end: ConnectionEnd) => void
  readonly #timers: Timers
  readonly #socket: CoordinatorSocket
  readonly #coordinator: PeerWatch
  readonly #logs: LogSinks
  readonly #teller: Teller
  readonly #inventory: InventoryTeller
  readonly #renewal: CertificateRenewal
  readonly #assignments: AssignmentQueue
  /** Null before the welcome. */
  #heartbeat: Heartbeat | null = null
  #isShipping = false
  #ended = false

  constructor(needs: ConnectionNeeds, hello: Hello, resolve: (end: ConnectionEnd) => void) {
    this.#needs = needs
    this.#resolve = resolve
    const { options, identity, times, signal, clock } = needs
    this.#timers = new Timers(clock)
    this.#socket = needs.outside.connect(options.coordinator, identity, {
      opened: () => this.#send(hello),
      frame: (bytes) => this.#receive(bytes),
      pong: () => this.#coordinator.heard(),
      closed: (why) => this.#lose(why),
    })
    const parts = { ...needs, timers: this.#timers, send: (message: UpMessage) => this.#send(message) }
    const bufferedBytes = () => this.#socket.bufferedBytes
    this.#coordinator = new PeerWatch({
      clock,
      ping: () => this.#socket.ping(),
      silenceMs: times.silenceMs,
      silent: (why) => this.#lose(why),
    })
    this.#logs = createLogSinks({ ...parts, tail: needs.logTail, bufferedBytes })
    this.#teller = new Teller({ ...parts, unsentBytes: bufferedBytes })
    this.#inventory = new InventoryTeller(parts, hello)
    this.#renewal = new CertificateRenewal({ ...parts, dataDir: options.dataDir })
    this.#assignments = this.#assignmentQueue()
    this.#timers.after(times.greetingTimeoutMs, () => {
      if (this.#heartbeat === null) this.#lose(`no welcome came within ${times.greetingTimeoutMs / 1000} s`)
    })
    signal.addEventListener('abort', this.#stop)
  }

  #assignmentQueue(): AssignmentQueue {
    const { supervisor, outbox, clock, log } = this.#needs
    const notice = (code: string, message: string) =>
      outbox.putNotice({ kind: 'notice', at: clock.now(), code, message })
    return new AssignmentQueue({
      supervisor,
      resync: (reason) => this.#send({ kind: 'resync', revision: supervisor.revision, reason }),
      stale: (reason) => notice('stale-assignment', reason),
      failed: (message, error) => {
        // A new connection brings the complete one.
        notice('assignment-not-kept', message)
        log.error({ error }, `could not keep the assignment: ${message}`)
        this.#lose(`the assignment could not be kept: ${message}`)
      },
    })
  }

  // ------------------------------------------------------------------ what the coordinator says

  #receive(bytes: Uint8Array): void {
    if (this.#ended) return
    this.#coordinator.heard()
    const decoded = decodeDown(bytes)
    if (decoded.ok) this.#act(decoded.message)
    else this.#lose(`the coordinator sent what is no message: ${decoded.reason}`)
  }

  #act(message: DownMessage): void {
    if (message.kind === 'refused') {
      this.#end({ kind: 'refused', why: message.message, retry: message.retry, code: message.code })
    } else if (message.kind === 'welcome') {
      if (this.#heartbeat === null) this.#welcomed(message)
      else this.#lose('the coordinator said welcome twice')
    } else if (this.#heartbeat === null) {
      this.#lose(`the coordinator sent ${message.kind} before its welcome`)
    } else {
      this.#actWelcomed(message)
    }
  }

  #actWelcomed(message: Exclude<DownMessage, { kind: 'welcome' | 'refused' }>): void {
    switch (message.kind) {
      case 'assignment':
      case 'assignment-change':
        this.#assignments.put(message)
        this.#beginShipping()
        break
      case 'log-places':
        this.#needs.logShipper?.places(message)
        break
      case 'log-look':
        this.#needs.logShipper?.look(message.look)
        break
      case 'log-open':
        this.#logs.open(message)
        break
      case 'log-add':
        this.#logs.add(message)
        break
      case 'log-more':
        this.#logs.more(message)
        break
      case 'log-close':
        this.#logs.close(message.stream)
        break
      case 'heartbeat-interval':
        this.#beatEvery(message.heartbeatIntervalMs)
        break
      case 'certificate':
        void this.#renewal.received(message.certificate)
        break
    }
  }

  /** The first assignment says that the coordinator has heard everything of this host: log lines may come from here on. */
  #beginShipping(): void {
    const { logShipper } = this.#needs
    if (logShipper === undefined || this.#isShipping) return
    this.#isShipping = true
    logShipper.begin({
      sources: (sources) => this.#send({ kind: 'log-sources', sources }),
      blocks: (blocks) => {
        if (!this.#ended) this.#socket.send(encodeLogFrame(blocks), this.#flushed)
      },
      looked: (look) => this.#send({ kind: 'log-looked', look }),
      hasRoom: () => !this.#ended && this.#socket.bufferedBytes < SHIPPING_BUFFERED_BYTES_MAX,
    })
  }

  #welcomed({ version, heartbeatIntervalMs, at }: Welcome): void {
    const { welcomed, times } = this.#needs
    welcomed()
    this.#beatEvery(heartbeatIntervalMs)
    // In case heartbeats are rarer than pings.
    this.#timers.every(times.pingIntervalMs, () => this.#coordinator.look(2 * times.pingIntervalMs))
    this.#renewal.begin(at)
    this.#inventory.welcomed()
    this.#teller.begin(version).catch((error: unknown) => this.#lose(`the containers could not be listed: ${error}`))
  }

  /** From now on, beginning with one. */
  #beatEvery(intervalMs: number): void {
    const { times, clock } = this.#needs
    const beat = () => {
      this.#teller.beat()
      // Beside the heartbeat, so that the coordinator wakes up once for both.
      this.#coordinator.look(0.9 * times.pingIntervalMs)
    }
    this.#heartbeat?.stop()
    this.#heartbeat = startHeartbeat(intervalMs, beat, clock)
  }

  // ------------------------------------------------------------------ sending, and the end

  #send(message: UpMessage): void {
    if (!this.#ended) this.#socket.send(encode(message), this.#flushed)
  }

  readonly #flushed = (): void => {
    if (this.#ended) return
    this.#logs.flushed()
    if (this.#isShipping) this.#needs.logShipper?.flushed()
    this.#teller.flushed()
  }

  readonly #stop = (): void => {
    if (this.#heartbeat === null) {
      this.#lose('the agent stops')
      return
    }
    this.#send({ kind: 'goodbye', reason: 'the agent stops; its containers go on' })
    this.#socket.close()
    this.#timers.after(this.#needs.times.goodbyeMs, () => this.#lose('the agent stops'))
  }

  #lose(why: string): void {
    this.#end({ kind: 'lost', why })
  }

  #end(end: ConnectionEnd): void {
    if (this.#ended) return
    this.#ended = true
    this.#timers.end()
    this.#heartbeat?.stop()
    this.#teller.end()
    this.#inventory.end()
    this.#renewal.end()
    this.#needs.signal.removeEventListener('abort', this.#stop)
    this.#logs.closeAll()
    if (this.#isShipping) this.#needs.logShipper?.end()
    this.#socket.cutOff()
    this.#resolve(end)
  }
}
