/** One connection, from the first packet to its end: hello, welcome, everything complete both ways, then what changes. */
import type { Clock, Instant } from '../../shared/clock.ts'
import type { Log } from '../../shared/log.ts'
import { decodeDown, encode } from '../../shared/wire/codec.ts'
import type { DownMessage, Welcome } from '../../shared/wire/down.ts'
import type { EngineInfo, Hello, NodeInventory, UpMessage } from '../../shared/wire/up.ts'
import { WIRE_VERSION, WIRE_VERSION_MIN } from '../../shared/wire/version.ts'
import type { LoadMeter, LogTail, ReadInventory, Supervisor } from '../parts.ts'
import { AssignmentQueue } from './assignment-queue.ts'
import { type Heartbeat, startHeartbeat } from './heartbeat.ts'
import { type Identity, renewIdentity, requestFor } from './identity.ts'
import type { LinkOptions } from './link.ts'
import { createLogSinks, type LogSinks } from './log-sinks.ts'
import type { Outbox } from './outbox.ts'
import { renewalDueAt, renewalRepeatMs } from './renewal.ts'
import { type CoordinatorSocket, connect } from './socket.ts'
import type { LinkTimes } from './times.ts'

export type ConnectionEnd =
  | { kind: 'lost'; why: string }
  | { kind: 'refused'; why: string; retry: boolean; code: string }

export type ConnectionNeeds = {
  options: LinkOptions
  identity: Identity
  /** Of this start of the agent. */
  instance: string
  supervisor: Supervisor
  logTail: LogTail
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

/** Above this much unsent, observations wait in the outbox, where newer ones replace them, and heartbeats are left out. */
const UNSENT_BYTES_MAX = 1024 * 1024
/** An Engine that takes longer to show its containers is greeted as down; it will be said when it is up. */
const ENGINE_WAIT_MS = 3_000
const TIMER_MS_MAX = 2 ** 31 - 1

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

async function newHello(needs: ConnectionNeeds): Promise<Hello> {
  const { supervisor, clock, inventory, signal } = needs
  const silent = () => ENGINE_SILENT
  const engine = Promise.race([
    supervisor.observeAll().then((observed) => observed.engine),
    clock.sleep(ENGINE_WAIT_MS, signal).then(silent, silent),
  ])
  return helloOf(needs, await inventory(), await engine)
}

function helloOf(
  { options, supervisor, clock, instance }: ConnectionNeeds,
  inventory: NodeInventory,
  engine: EngineInfo,
): Hello {
  const { node, agentVersion, labels } = options
  const { revision } = supervisor
  const versions = { version: WIRE_VERSION, versionMin: WIRE_VERSION_MIN }
  return {
    kind: 'hello',
    ...versions,
    node,
    instance,
    agentVersion,
    inventory,
    engine,
    labels,
    revision,
    at: clock.now(),
  }
}

const ENGINE_SILENT: EngineInfo = { state: 'down', message: 'the Engine has not shown its containers yet' }

class Connection {
  readonly #needs: ConnectionNeeds
  readonly #resolve: (end: ConnectionEnd) => void
  readonly #socket: CoordinatorSocket
  readonly #logs: LogSinks
  readonly #assignments: AssignmentQueue
  readonly #timers = new Set<NodeJS.Timeout>()
  #identity: Identity
  /** Certificates are dated by the coordinator's clock; this host's may be hours off. */
  #coordinatorNow: () => Instant = () => 0
  #ended = false
  /** The full observation has gone out: changes may follow. */
  #mayTellChanges = false
  #flushWaits = false
  #heartbeat: Heartbeat | null = null
  #sequence = 0
  /** The next heartbeat names every container: the coordinator has not heard of them, or not of all. */
  #nameAllContainers = true
  /** Monotonic, as is the time of the ping that has not been answered. */
  #heardAt = performance.now()
  #pingSentAt: number | null = null

  constructor(needs: ConnectionNeeds, hello: Hello, resolve: (end: ConnectionEnd) => void) {
    this.#needs = needs
    this.#identity = needs.identity
    this.#resolve = resolve
    this.#socket = connect(needs.options.coordinator, needs.identity, {
      opened: () => this.#send(hello),
      frame: (bytes) => this.#receive(bytes),
      pong: () => this.#heard(),
      closed: (why) => this.#end({ kind: 'lost', why }),
    })
    this.#logs = createLogSinks({
      tail: needs.logTail,
      send: (message) => this.#send(message),
      bufferedBytes: () => this.#socket.bufferedBytes,
    })
    this.#assignments = this.#assignmentQueue()
    this.#after(needs.times.greetingTimeoutMs, () => {
      if (this.#heartbeat === null) this.#lose(`no welcome came within ${needs.times.greetingTimeoutMs / 1000} s`)
    })
    needs.signal.addEventListener('abort', this.#stop)
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
    this.#heard()
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
      case 'certificate':
        void this.#renewed(message.certificate)
        break
    }
  }

  #welcomed({ heartbeatIntervalMs, at }: Welcome): void {
    const { outbox, welcomed, times } = this.#needs
    welcomed()
    this.#coordinatorNow = goingOnFrom(at)
    // The full observation holds all that waited.
    outbox.forgetChanges()
    outbox.listener = () => this.#markFlush()
    this.#heartbeat = startHeartbeat(heartbeatIntervalMs, () => this.#beat())
    // In case heartbeats are rarer than pings.
    this.#every(times.pingIntervalMs, () => this.#watch(2 * times.pingIntervalMs))
    this.#planRenewal()
    this.#observeAll().catch((error: unknown) => this.#lose(`the containers could not be listed: ${error}`))
  }

  async #observeAll(): Promise<void> {
    const { supervisor, clock } = this.#needs
    const observed = await supervisor.observeAll()
    const { revision } = supervisor
    this.#send({ kind: 'observation', full: true, revision, at: clock.now(), ...observed })
    this.#mayTellChanges = true
    this.#markFlush()
  }

  // ------------------------------------------------------------------ what changes

  /** Everything marked in one turn of the event loop goes out together, and at once. */
  #markFlush(): void {
    if (!this.#mayTellChanges || this.#flushWaits) return
    this.#flushWaits = true
    setImmediate(() => {
      this.#flushWaits = false
      if (!this.#ended && this.#socket.bufferedBytes <= UNSENT_BYTES_MAX) this.#flush()
    })
  }

  #flush(): void {
    const { outbox, supervisor, clock, log } = this.#needs
    const { change, notices, noticesDropped } = outbox.take()
    const { revision } = supervisor
    if (change !== null) this.#send({ kind: 'observation', full: false, revision, at: clock.now(), ...change })
    for (const notice of notices) this.#send(notice)
    if (noticesDropped > 0) log.warn({ noticesDropped }, `${noticesDropped} notices were not told to the coordinator`)
  }

  #beat(): void {
    const { supervisor, loadMeter, clock, times } = this.#needs
    if (this.#socket.bufferedBytes > UNSENT_BYTES_MAX) {
      this.#nameAllContainers = true
      return
    }
    const sample = loadMeter.sample(supervisor.containers(), { all: this.#nameAllContainers })
    this.#nameAllContainers = false
    const { revision } = supervisor
    this.#send({ kind: 'heartbeat', sequence: this.#sequence++, at: clock.now(), revision, ...sample })
    // Beside the heartbeat, so that the coordinator wakes up once for both.
    this.#watch(0.9 * times.pingIntervalMs)
  }

  // ------------------------------------------------------------------ the certificate

  #planRenewal(atLeastMs = 0): void {
    const dueMs = renewalDueAt(this.#identity, this.#needs.random()) - this.#coordinatorNow()
    this.#after(Math.max(atLeastMs, dueMs), () => this.#askForCertificate())
  }

  #askForCertificate(): void {
    const asked = this.#identity
    this.#send({ kind: 'certificate-request', request: requestFor(asked.keyPem, asked.node) })
    this.#after(renewalRepeatMs(asked), () => {
      if (this.#identity === asked) this.#askForCertificate()
    })
  }

  /** The connection goes on with the certificate it began with; the next one shows the new one. */
  async #renewed(certificate: string): Promise<void> {
    const { options, log, renewed } = this.#needs
    try {
      this.#identity = await renewIdentity(options.dataDir, this.#identity, certificate)
      renewed(this.#identity)
      log.info({ validUntil: this.#identity.validUntil }, 'the certificate was renewed')
      // Never at once again, whatever the clocks say.
      if (!this.#ended) this.#planRenewal(renewalRepeatMs(this.#identity))
    } catch (error) {
      log.error({ error }, 'the renewed certificate could not be kept; it will be asked for again')
    }
  }

  // ------------------------------------------------------------------ life and end

  #heard(): void {
    this.#heardAt = performance.now()
    this.#pingSentAt = null
  }

  /** Pings when nothing was heard for `quietMs`; gives the coordinator up when a ping is not answered. */
  #watch(quietMs: number): void {
    const now = performance.now()
    if (this.#pingSentAt === null) {
      if (now - this.#heardAt < quietMs) return
      this.#pingSentAt = now
      this.#socket.ping()
    } else if (now - this.#pingSentAt > this.#needs.times.silenceMs) {
      // After a stall of this process the answer may lie in the socket, unread: read first, then judge.
      setImmediate(() => {
        if (this.#pingSentAt !== null) {
          this.#lose(`the coordinator has been silent for ${((now - this.#heardAt) / 1000).toFixed(1)} s`)
        }
      })
    }
  }

  #send(message: UpMessage): void {
    if (!this.#ended) this.#socket.send(encode(message), this.#flushed)
  }

  readonly #flushed = (): void => {
    if (this.#ended) return
    this.#logs.flushed()
    if (!this.#needs.outbox.isEmpty) this.#markFlush()
  }

  readonly #stop = (): void => {
    if (this.#heartbeat === null) {
      this.#lose('the agent stops')
      return
    }
    this.#send({ kind: 'goodbye', reason: 'the agent stops; its containers go on' })
    this.#socket.close()
    this.#after(this.#needs.times.goodbyeMs, () => this.#lose('the agent stops'))
  }

  #lose(why: string): void {
    this.#end({ kind: 'lost', why })
  }

  #end(end: ConnectionEnd): void {
    if (this.#ended) return
    this.#ended = true
    for (const timer of this.#timers) clearTimeout(timer)
    this.#heartbeat?.stop()
    this.#needs.outbox.listener = null
    this.#needs.signal.removeEventListener('abort', this.#stop)
    this.#logs.closeAll()
    this.#socket.cutOff()
    this.#resolve(end)
  }

  #after(ms: number, then: () => void): void {
    const timer = setTimeout(
      () => {
        this.#timers.delete(timer)
        then()
      },
      Math.min(ms, TIMER_MS_MAX),
    )
    this.#timers.add(timer)
  }

  #every(ms: number, then: () => void): void {
    this.#timers.add(setInterval(then, ms))
  }
}

/** A clock that was told once and is kept going by ours: its hour may be wrong, its seconds are not. */
function goingOnFrom(at: Instant): () => Instant {
  const toldAt = performance.now()
  return () => at + performance.now() - toldAt
}
