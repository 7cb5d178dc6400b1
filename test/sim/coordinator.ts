/** The coordinator's process: the real loop, sessions and judgement over a store that outlives it. */

import { defaultSettings } from '../../coordinator/decide/settings.ts'
import { openEventLog } from '../../coordinator/events.ts'
import { judgement as realJudgement } from '../../coordinator/judgement.ts'
import { createLoop, type Judgement, type Loop } from '../../coordinator/loop.ts'
import { makeCa } from '../../coordinator/security/certificates.ts'
import type { Security } from '../../coordinator/security/security.ts'
import { createSessions, type Sessions } from '../../coordinator/sessions/sessions.ts'
import { loadWorld, WORLD_PREFIX } from '../../coordinator/store/records.ts'
import type { Decision, World } from '../../coordinator/world.ts'
import type { Log } from '../../shared/log.ts'
import type { Chance } from './chance.ts'
import { StoreDisk } from './disk.ts'
import { CLUSTER } from './host.ts'
import { EPOCH_MS, Life, type WallClock } from './life.ts'
import type { Network } from './network.ts'
import { printDecision } from './print-decision.ts'
import type { Timeline } from './timeline.ts'
import type { Trace } from './trace.ts'

export type CoordinatorNeeds = {
  timeline: Timeline
  network: Network
  chance: Chance
  trace: Trace
  /** For mutants. */
  bend?: { judgement?(judgement: Judgement): Judgement; loop?(loop: Loop): Loop; disk?: StoreDisk }
  checkTwice: boolean
  started(loop: Loop): void
  /** After each beat that changed anything. */
  beat(loop: Loop): void
  decided(decision: Decision, world: World): void
  /** The process ended by itself, which it never may. */
  failed(error: unknown): void
}

/** Nothing of it is random to the run: the certificate is never looked at. */
const { certificatePem } = await makeCa('sim', { from: EPOCH_MS, until: EPOCH_MS + 86_400_000 })
const RESTART_MS: readonly [number, number] = [300, 6_000]

export class Coordinator {
  readonly wall: WallClock = { offsetMs: 0 }
  readonly disk: StoreDisk
  life: Life | null = null
  loop: Loop | null = null
  /** Something was asked for or seen that nothing was decided about yet: while a flush is under way, or the disk was full. */
  isUndecided = false
  private sessions: Sessions | null = null
  private stopLoop: AbortController | null = null
  private starts = 0
  private readonly needs: CoordinatorNeeds

  constructor(needs: CoordinatorNeeds) {
    this.needs = needs
    this.disk = needs.bend?.disk ?? new StoreDisk()
  }

  get isUp(): boolean {
    return this.life?.isAlive === true
  }

  start(): void {
    if (this.isUp) return
    const { timeline, network, chance, trace, bend } = this.needs
    const start = ++this.starts
    const own = chance.of(`coordinator ${start}`)
    const life = new Life(`coordinator/${start}`, timeline, this.wall, own.of('timers').next)
    this.life = life
    trace.tell('coordinator', `starts (${start})`)
    const store = this.disk.storeOf(life, own.of('disk'))
    const judgement = bend?.judgement?.(realJudgement) ?? realJudgement
    const real = createLoop({
      store,
      world: loadWorld(store.range(WORLD_PREFIX), CLUSTER),
      events: openEventLog(store),
      judgement: this.told(judgement),
      settings: defaultSettings(life.now()),
      clock: life,
      log: this.logOf(life),
      checkTwice: this.needs.checkTwice,
      // Half of all starts let others have a turn after each step of a beat.
      ...(own.of('turns').next() < 0.5 && { turnMs: 0 }),
    })
    const loop = bend?.loop?.(real) ?? real
    this.loop = loop
    loop.onBeat(() => {
      if (life.isAlive) this.needs.beat(loop)
    })
    const sessions = createSessions({
      core: loop,
      security: SECURITY,
      // In half of all starts a handful of nodes is a large fleet, whose heartbeats become rarer as it grows.
      settings: { heartbeatIntervalMs: 1_000, ...(own.of('intervals').next() < 0.5 && { heartbeatsPerSecondMax: 2 }) },
      log: this.logOf(life),
      clock: life,
    })
    this.sessions = sessions
    loop.setDispatcher(sessions)
    network.listening = {
      life,
      open: (node, keyFingerprint, address, socket) =>
        sessions.open({ node, keyFingerprint, isValid: true, fault: '', validUntil: Infinity }, address, socket),
    }
    const stopLoop = new AbortController()
    this.stopLoop = stopLoop
    this.needs.started(loop)
    loop.run(stopLoop.signal).then(
      () => this.ended(life, 'stopped'),
      (error: unknown) => {
        if (life.isAlive) this.needs.failed(error)
      },
    )
  }

  /** kill -9. It is started again in a moment. */
  kill(): void {
    if (this.life) this.ended(this.life, 'killed')
  }

  killAfter(count: number): void {
    const { life } = this
    life?.endAfter(count, () => this.ended(life, 'killed between two acts'))
  }

  spare(): void {
    this.life?.spare()
  }

  /** SIGTERM, as for an upgrade. */
  stop(): void {
    const { sessions, stopLoop } = this
    void sessions?.close().then(() => stopLoop?.abort())
  }

  private ended(life: Life, why: string): void {
    if (!life.isAlive) return
    life.kill()
    const { trace, timeline, chance } = this.needs
    trace.tell('coordinator', why)
    timeline.after(chance.between(...RESTART_MS), () => this.start())
  }

  /** The judgement, and what it decides told line by line. */
  private told(judgement: Judgement): Judgement {
    const { trace } = this.needs
    return {
      admit: judgement.admit,
      eventsOf: judgement.eventsOf,
      marksOf: (world, value) => {
        if (!('decision' in value)) this.isUndecided = true
        return judgement.marksOf(world, value)
      },
      decide: (world, marks, now, settings) => {
        this.isUndecided = false
        const decided = judgement.decide(world, marks, now, settings)
        for (const decision of decided.decisions) {
          trace.tell('coordinator', printDecision(decision))
          this.needs.decided(decision, world)
        }
        return decided
      },
    }
  }

  private logOf(life: Life): Log {
    const tell = (_fields: Record<string, unknown>, message: string) => {
      if (life.isAlive) this.needs.trace.tell('coordinator', message)
    }
    return { debug: tell, info: tell, warn: tell, error: tell }
  }
}

const refuse = () => {
  throw new Error('not part of the simulation')
}
const SECURITY: Security = {
  cluster: CLUSTER,
  caCertificatePem: certificatePem,
  serverTls: refuse,
  onServerCertificate: () => () => {},
  serverKeyPin: '',
  isOperator: refuse,
  joinToken: refuse,
  joinTokenExpiresAt: refuse,
  rotateJoinToken: refuse,
  rotateOperatorToken: refuse,
  readers: () => [],
  readerOf: refuse,
  createReader: refuse,
  removeReader: refuse,
  checkJoinToken: refuse,
  sign: refuse,
}
