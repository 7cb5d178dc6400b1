/** A host: its disk, its clock, its Engine, and the agent's process with the real supervisor and the real link. */
import { ASSIGNMENT_FILE, applyMessage, type KeptAssignment } from '../../agent/assignment-file.ts'
import type { Engine } from '../../agent/docker/engine.ts'
import type { Identity } from '../../agent/link/identity.ts'
import { createLink } from '../../agent/link/link.ts'
import type { Supervisor } from '../../agent/parts.ts'
import { createSupervisor } from '../../agent/supervisor.ts'
import { BerthError } from '../../shared/errors.ts'
import type { Log } from '../../shared/log.ts'
import { aHostLoad, anInventory } from '../build/world.ts'
import type { Chance } from './chance.ts'
import { Disk } from './disk.ts'
import { EPOCH_MS, Life, type WallClock } from './life.ts'
import type { Network } from './network.ts'
import type { Timeline } from './timeline.ts'
import type { Trace } from './trace.ts'
import { type EngineWatch, VirtualEngine } from './virtual-engine.ts'

export const CLUSTER = 'berth-sim'

export type HostNeeds = {
  name: string
  timeline: Timeline
  network: Network
  chance: Chance
  trace: Trace
  watch: EngineWatch
  cpuCores: number
  memoryBytes: number
  /** The host asks to become a node with this key. @throws BerthError as joining does */
  join(name: string, keyFingerprint: string, life: Life): Promise<void>
  /** For mutants: what stands between the parts. */
  bend?: { supervisor?(supervisor: Supervisor): Supervisor; engine?(engine: Engine): Engine }
}

/** What systemd waits before it starts an agent that has ended. */
const RESTART_MS = 1_000
const IDENTITY_FILE = 'identity'
const CA_PIN = 'ca'.repeat(32)
const YEARS_MS = 10 * 365 * 86_400_000

export class Host {
  readonly name: string
  readonly wall: WallClock = { offsetMs: 0 }
  readonly disk = new Disk()
  readonly engine: VirtualEngine
  life: Life | null = null
  /** What the agent's process has in force; null: nothing, or there is no process. */
  inForce: KeptAssignment | null = null
  isOn = true
  private bootedAtMs = 0
  private readonly needs: HostNeeds
  private starts = 0
  private keys = 0
  private stopping: AbortController | null = null

  constructor(needs: HostNeeds) {
    this.needs = needs
    this.name = needs.name
    const chance = needs.chance.of(`engine of ${needs.name}`)
    this.engine = new VirtualEngine(needs.name, needs.timeline, this.wall, chance, needs.watch)
  }

  get agentIsUp(): boolean {
    return this.life?.isAlive === true
  }

  // ------------------------------------------------------------------ the agent's process

  startAgent(): void {
    if (!this.isOn || this.agentIsUp) return
    const { name, timeline, network, chance, trace } = this.needs
    const start = ++this.starts
    this.disk.leave()
    const own = chance.of(`${name} ${start}`)
    const life = new Life(`${name}/${start}`, timeline, this.wall, own.of('timers').next)
    this.life = life
    this.inForce = this.keptAssignment()
    trace.tell(name, `agent starts (${start})`)
    const owner = Promise.withResolvers<{ cluster: string; node: string }>()
    const { bend } = this.needs
    const engine = this.engine.engineFor(life)
    const supervisor = createSupervisor({
      engine: bend?.engine?.(engine) ?? engine,
      owner: owner.promise,
      dataDir: '/var/lib/berth',
      files: this.disk.filesOf(life, own.of('disk')),
      clock: life,
      widths: { launches: 2 },
      pullStallMs: 30_000,
      bootedAt: this.bootedAtMs + EPOCH_MS + this.wall.offsetMs,
      log: this.logOf(life),
    })
    const watched = this.watched(supervisor, life)
    const link = createLink({
      options: {
        coordinator: 'https://coordinator:23784',
        node: name,
        dataDir: '/var/lib/berth',
        labels: {},
        agentVersion: '0.1.0',
        joinToken: () => `BRTH-1-${CA_PIN}-${'0'.repeat(32)}`,
      },
      supervisor: bend?.supervisor?.(watched) ?? watched,
      logTail: { open: (request, sink) => sink.end(request.stream), add() {}, close() {}, closeAll() {} },
      loadMeter: {
        sample: () => ({ load: LOAD, containers: [] }),
        lastMinute: () => null,
        devices: () => null,
        close() {},
      },
      inventory: async () => this.inventory,
      log: this.logOf(life),
      clock: life,
      random: own.of('link').next,
      instance: `${name}-${start}`,
      onIdentity: ({ cluster, node }) => owner.resolve({ cluster, node }),
      outside: {
        connect: (_coordinator, identity, listener) => network.connect(name, identity.keyPem, life, listener),
        loadIdentity: async () => this.identity(),
        joinCluster: () => this.join(life),
        fetchTicket: () => {},
      },
    })
    const stopping = new AbortController()
    this.stopping = stopping
    const done = Promise.all([supervisor.run(stopping.signal), link.run(stopping.signal)])
    done.then(
      () => this.agentEnded(life, 'agent stopped'),
      (error: unknown) => this.agentEnded(life, `agent ended: ${error instanceof Error ? error.message : error}`),
    )
  }

  /** kill -9, at once. It is started again in a moment. */
  killAgent(): void {
    if (this.life) this.agentEnded(this.life, 'agent killed')
  }

  /** It is killed when it is about to do its `count`-th thing to the world outside from now on. */
  killAgentAfter(count: number): void {
    const { life } = this
    life?.endAfter(count, () => this.agentEnded(life, 'agent killed between two acts'))
  }

  spareAgent(): void {
    this.life?.spare()
  }

  /** SIGTERM, as for an upgrade. */
  stopAgent(): void {
    this.stopping?.abort()
  }

  private agentEnded(life: Life, why: string): void {
    if (!life.isAlive) return
    life.kill()
    this.inForce = null
    const { trace, name, timeline, chance } = this.needs
    trace.tell(name, why)
    timeline.after(RESTART_MS + chance.between(0, 500), () => this.startAgent())
  }

  // ------------------------------------------------------------------ the host

  /** Power is cut: nobody is told anything. */
  powerOff(): void {
    if (!this.isOn) return
    const { network, name, trace } = this.needs
    trace.tell(name, 'host goes off')
    this.isOn = false
    network.hostEnds(name)
    this.life?.kill()
    this.inForce = null
    network.cut(name, 'up')
    network.cut(name, 'down')
    this.engine.loseHost()
    this.disk.losePower()
  }

  powerOn(): void {
    if (this.isOn) return
    const { network, name, trace, timeline, chance } = this.needs
    trace.tell(name, 'host comes up')
    this.bootedAtMs = timeline.now
    this.isOn = true
    network.mend(name, 'up')
    network.mend(name, 'down')
    timeline.after(chance.between(100, 5_000), () => this.engine.boot())
    timeline.after(chance.between(100, 5_000), () => this.startAgent())
  }

  /** The agent's folder is lost, and its identity with it; it joins anew. */
  wipe(): void {
    this.needs.trace.tell(this.name, "the agent's folder is lost")
    this.killAgent()
    this.disk.wipe()
  }

  // ------------------------------------------------------------------ who it is

  private identity(): Identity | null {
    const key = this.disk.written.get(IDENTITY_FILE)
    return key === undefined ? null : this.identityOf(key)
  }

  private identityOf(key: string): Identity {
    const pem = { keyPem: key, certificatePem: '', caPem: '', caPin: CA_PIN }
    return { node: this.name, cluster: CLUSTER, ...pem, validFrom: EPOCH_MS, validUntil: EPOCH_MS + YEARS_MS }
  }

  private async join(life: Life): Promise<Identity> {
    const key = this.disk.written.get('key') ?? `key-${this.name}-${++this.keys}`
    const files = this.disk.filesOf(life, this.needs.chance)
    await files.replace('key', key)
    await this.needs.join(this.name, key, life)
    await files.replace(IDENTITY_FILE, key)
    return this.identityOf(key)
  }

  /** The operator gives it a name anew after it was removed: its old identity is taken away. */
  forgetIdentity(): void {
    this.disk.written.delete(IDENTITY_FILE)
    this.disk.written.delete('key')
    this.killAgent()
  }

  // ------------------------------------------------------------------ what is watched of it

  /** Takes note of what is in force, as the supervisor itself reckons it. */
  private watched(supervisor: Supervisor, life: Life): Supervisor {
    return {
      run: (signal) => supervisor.run(signal),
      get revision() {
        return supervisor.revision
      },
      observeAll: () => supervisor.observeAll(),
      onChange: (listener) => supervisor.onChange(listener),
      onNotice: (listener) => supervisor.onNotice(listener),
      containers: () => supervisor.containers(),
      assign: async (message) => {
        const outcome = await supervisor.assign(message)
        if (outcome.outcome !== 'applied' || !life.isAlive) return outcome
        const before = this.inForce
        const applied = applyMessage(before, message)
        if (applied.outcome === 'applied') this.inForce = applied.assignment
        else if (message.kind === 'assignment') this.inForce = message
        if (before && this.inForce && this.inForce.revision < before.revision) {
          this.onRevisionBack(before.revision, this.inForce.revision)
        }
        this.onInForce()
        return outcome
      },
    }
  }

  onRevisionBack: (from: number, to: number) => void = () => {}
  onInForce: () => void = () => {}

  private keptAssignment(): KeptAssignment | null {
    const text = this.disk.written.get(ASSIGNMENT_FILE)
    return text === undefined ? null : (JSON.parse(text.slice(text.indexOf('\n') + 1)) as KeptAssignment)
  }

  get inventory() {
    const { name, cpuCores, memoryBytes } = this.needs
    return anInventory({ hostname: name, cpuCores, memoryBytes })
  }

  private logOf(life: Life): Log {
    const tell = (_fields: Record<string, unknown>, message: string) => {
      if (life.isAlive) this.needs.trace.tell(this.name, message)
    }
    return { debug: tell, info: tell, warn: tell, error: tell }
  }
}

export function unreachable(): BerthError {
  return new BerthError('unreachable', 'the coordinator cannot be reached')
}

const LOAD = aHostLoad()
