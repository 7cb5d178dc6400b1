/**
 * One run: hosts, a coordinator, users and fate on one timeline, from one seed. After every beat and every start of a
 * container the rules are asked (rules.ts); when the plan is over everything is healed, and what runs must be what is wanted.
 */
import type { Engine } from '../../agent/docker/engine.ts'
import type { Supervisor } from '../../agent/parts.ts'
import { unfitMoves } from '../../coordinator/decide/rebalance/fit.ts'
import { whyNotMovable } from '../../coordinator/decide/rebalance/movable.ts'
import { isUp } from '../../coordinator/decide/task-facts.ts'
import type { Judgement, Loop } from '../../coordinator/loop.ts'
import type { Change, World } from '../../coordinator/world.ts'
import { BerthError } from '../../shared/errors.ts'
import { canonicalJson } from '../../shared/spec.ts'
import { aPort, GiB } from '../build/spec.ts'
import { untrueTally } from '../build/tally.ts'
import { Chance } from './chance.ts'
import { Coordinator } from './coordinator.ts'
import type { StoreDisk } from './disk.ts'
import { Host, unreachable } from './host.ts'
import type { Life } from './life.ts'
import { Acknowledged } from './model.ts'
import { Network } from './network.ts'
import { type Deed, type Item, type Plan, printChange, printDeed } from './plan.ts'
import {
  allIsAsWanted,
  endsForGood,
  isOurs,
  replacementsAwaited,
  roomIsPromisedOnce,
  runsWithinPromises,
  slotsAreMannedOnce,
  slotsRunOnce,
  steadyRuns,
  taskRunsOnce,
} from './rules.ts'
import { Timeline } from './timeline.ts'
import { Trace } from './trace.ts'
import type { EngineWatch, VirtualContainer } from './virtual-engine.ts'

/** What mutants bend: the tests show that a rule notices. */
export type Bend = {
  supervisor?(supervisor: Supervisor): Supervisor
  engine?(engine: Engine): Engine
  judgement?(judgement: Judgement): Judgement
  loop?(loop: Loop): Loop
  disk?: StoreDisk
}

export type RunOptions = { seed: number; plan: Plan; bend?: Bend; traceLinesMax?: number; checkTwice?: boolean }

export type Outcome = {
  seed: number
  /** Null: every rule held. */
  violation: { rule: string; message: string; atMs: number } | null
  /** Equal for equal runs. */
  hash: string
  events: number
  beats: number
  /** Virtual milliseconds. */
  ranMs: number
  trace: Trace
}

/** After the last fault: back-offs of a minute, graces, Engines that answer late, rollouts to their end. */
const REBALANCE_TRIES = 30
const REBALANCE_RETRY_MS = 1_000
const SETTLE_MS = 300_000
const STILL_MS = 60_000
/** While things settle, an operator looks after hosts that cannot join by themselves. */
const CARE_MS = 20_000

export async function simulate(options: RunOptions): Promise<Outcome> {
  const run = new Run(options)
  await run.all()
  return run.outcome()
}

class Run {
  private readonly seed: number
  private readonly plan: Plan
  private readonly timeline = new Timeline()
  private readonly trace: Trace
  private readonly chance: Chance
  private readonly network: Network
  private readonly hosts = new Map<string, Host>()
  private readonly coordinator: Coordinator
  private readonly model = new Acknowledged()
  /** By node, key and revision: what it was. */
  private readonly contents = new Map<string, string>()
  private beats = 0
  private isHealed = false
  private violation: Outcome['violation'] = null

  constructor({ seed, plan, bend = {}, traceLinesMax = 20_000, checkTwice = true }: RunOptions) {
    this.seed = seed
    this.plan = plan
    this.chance = new Chance(seed)
    this.trace = new Trace(this.timeline, traceLinesMax)
    this.network = new Network(this.timeline, this.chance.of('network'))
    for (const name of plan.nodes) this.hosts.set(name, this.newHost(name, bend))
    this.coordinator = new Coordinator({
      timeline: this.timeline,
      network: this.network,
      chance: this.chance,
      trace: this.trace,
      bend,
      checkTwice,
      started: (loop) => this.started(loop),
      beat: (loop) => this.beat(loop),
      decided: (decision, world) => this.model.decided(decision, world),
      failed: (error) =>
        this.violate('the coordinator does not fail', `${error instanceof Error ? error.stack : error}`),
    })
  }

  private newHost(name: string, bend: Bend): Host {
    const host: Host = new Host({
      name,
      timeline: this.timeline,
      network: this.network,
      chance: this.chance,
      trace: this.trace,
      cpuCores: this.plan.cpuCores,
      memoryBytes: 8 * GiB,
      watch: this.watchOf(() => host),
      join: (node, key, life) => this.join(node, key, life),
      bend,
    })
    host.engine.keeps = this.chance.of(`live-restore of ${name}`).happens(0.5)
    host.onRevisionBack = (from, to) =>
      this.violate('assignment revisions never go back', `${name} went from revision ${from} to ${to}`)
    host.onInForce = () => this.checkContent(host)
    if (this.chance.of(`strangers of ${name}`).happens(0.5)) {
      host.engine.addStranger('postgres', {}, [aPort(5432)])
      host.engine.addStranger('other', { cluster: 'other', node: name, task: 's_a.1.1', spec: 'x' }, [])
    }
    return host
  }

  // ------------------------------------------------------------------ the course of a run

  async all(): Promise<void> {
    this.coordinator.start()
    for (const host of this.hosts.values()) host.startAgent()
    for (const item of this.plan.items) this.timeline.at(item.atMs, () => this.do(item))
    try {
      await this.until(this.plan.forMs)
      this.heal()
      await this.until(this.plan.forMs + SETTLE_MS)
      this.settled()
      await this.stayStill()
    } catch (error) {
      if (!this.violation) throw error
    }
  }

  private until(moment: number): Promise<void> {
    return this.timeline.runUntil(moment, () => {
      if (this.violation) throw new Error(this.violation.message)
    })
  }

  private violate(rule: string, message: string | null): void {
    if (message === null || this.violation) return
    this.violation = { rule, message, atMs: this.timeline.now }
    this.trace.tell('VIOLATION', `${rule}: ${message}`)
  }

  outcome(): Outcome {
    const { timeline, violation, beats, seed, trace } = this
    const hash = `${timeline.hash.toString(16).padStart(8, '0')}-${timeline.events.toString(16)}`
    return { seed, violation, hash, events: timeline.events, beats, ranMs: timeline.now, trace }
  }

  // ------------------------------------------------------------------ the rules

  private started(loop: Loop): void {
    this.violate('an acknowledged change is never lost', this.model.fault(loop.world))
  }

  private beat({ world }: Loop): void {
    this.beats++
    this.violate('an acknowledged change is never lost', this.model.fault(world))
    this.violate("a slot's task runs once", slotsRunOnce(world, this.hosts))
    this.violate('what is tallied is what a walk counts', untrueTally(world))
    // What was just asked for or seen may break these until the next beat decides; that one is asked.
    if (this.coordinator.isUndecided) return
    this.violate('room is promised once', roomIsPromisedOnce(world))
    this.violate('what has ended stays so', endsForGood(world, this.hosts))
    this.violate("a slot's task is wanted once", slotsAreMannedOnce(world))
  }

  /** One revision of a node's assignment never means two things. */
  private checkContent(host: Host): void {
    const { inForce, name } = host
    if (!inForce) return
    const key = `${name} ${host.disk.written.get('key')} ${inForce.revision}`
    const tasks = [...inForce.tasks].sort((a, b) => (a.id < b.id ? -1 : 1))
    const content = canonicalJson({ tasks, specs: Object.keys(inForce.specs).sort() })
    const known = this.contents.get(key)
    if (known === undefined) this.contents.set(key, content)
    else if (known !== content) {
      this.violate('a revision means one assignment', `${name} revision ${inForce.revision}: ${known} and ${content}`)
    }
  }

  private watchOf(hostOf: () => Host): EngineWatch {
    return {
      acts: (act, container, by) => this.acted(hostOf(), act, container, by),
      started: (container) => {
        const host = hostOf()
        if (container.seen.task !== '') this.trace.tell(host.name, `${container.seen.name} runs (${container.seen.id})`)
        this.violate('a task runs once', taskRunsOnce(host, container))
        if (!this.hasForgotten(host)) {
          this.violate('what runs is within what was promised', runsWithinPromises(host))
        }
      },
      ended: ({ seen }, why) => {
        if (seen.task !== '') this.trace.tell(hostOf().name, `${seen.name} ended with ${seen.exitCode}: ${why}`)
      },
      portTaken: (container, holder) => {
        const host = hostOf()
        const assigned = (each: VirtualContainer) => host.inForce?.tasks.some(({ id }) => id === each.seen.task)
        if (
          isOurs(host, holder) &&
          !holder.isByHand &&
          !this.hasForgotten(host) &&
          assigned(container) &&
          assigned(holder)
        ) {
          const message = `${container.seen.name} was to start on ${host.name} while ${holder.seen.name} has its port`
          this.violate('no host port is used twice', message)
        }
      },
    }
  }

  /** An agent whose folder was lost, or whose disk was full, starts tasks again that had ended for good and hold no room. */
  private hasForgotten(host: Host): boolean {
    return host.disk.hasLost
  }

  private acted(host: Host, act: string, container: VirtualContainer, by: Life): void {
    const { seen } = container
    if (!isOurs(host, container)) {
      this.violate('a foreign container is never touched', `${by.name} did ${act} ${seen.name}`)
    }
    if (act === 'start' || seen.state !== 'running') return
    const task = host.inForce?.tasks.find(({ id }) => id === seen.task)
    const isWanted = task?.desired === 'running' && task.spec === seen.spec
    const twin = [...host.engine.containers.values()].some(
      (other) => other !== container && other.seen.task === seen.task,
    )
    // Killed where the Engine cannot stop it.
    const isSick = (act === 'stop' || act === 'kill') && seen.health === 'unhealthy'
    if (isWanted && !twin && !isSick && host.agentIsUp) {
      this.violate('nothing is restarted without cause', `${act} ${seen.name} on ${host.name}, which is to run`)
    }
  }

  // ------------------------------------------------------------------ users

  private submit(change: Change): Promise<number> {
    const { life, loop } = this.coordinator
    if (!life?.isAlive || !loop) return Promise.reject(unreachable())
    return new Promise((resolve, reject) => {
      life.take(this.timeline.now, () => {
        this.trace.tell('user', printChange(change))
        const number = this.model.begin(change, loop.world)
        loop.submit(change).then(
          (revision) => {
            // What a process still answers after its end reaches nobody.
            if (!life.isAlive) return
            this.model.acknowledged(number)
            this.trace.tell('user', `has it acknowledged at revision ${revision}`)
            resolve(revision)
          },
          (error: unknown) => {
            if (!life.isAlive) return
            this.model.refused(number)
            this.trace.tell('user', `is refused: ${error instanceof Error ? error.message : error}`)
            reject(error)
          },
        )
      })
    })
  }

  private ask(change: Change): void {
    this.submit(change).catch(() => {})
  }

  /**
   * Whatever may be moved, to wherever it fits: not only what the coordinator would propose, which in small clusters is seldom anything.
   * While nothing may be, as during rollouts, it is tried again a moment later.
   */
  private rebalance(deed: Extract<Deed, { kind: 'rebalance' }>, triesLeft = REBALANCE_TRIES): void {
    if (this.isHealed) return
    const { world } = this.coordinator.loop ?? {}
    const moves = world ? this.possibleMoves(world, deed) : []
    if (moves.length > 0) this.ask({ kind: 'rebalance', moves, atOnce: deed.atOnce })
    else if (triesLeft > 0) this.timeline.after(REBALANCE_RETRY_MS, () => this.rebalance(deed, triesLeft - 1))
  }

  private possibleMoves(world: World, { first, count }: Extract<Deed, { kind: 'rebalance' }>) {
    const nodes = [...world.nodes.keys()].sort()
    const tasks = [...world.tasks.values()].filter((task) => whyNotMovable(world, task) === null)
    const moves: { task: string; to: string }[] = []
    for (let i = 0; i < Math.min(count, tasks.length); i++) {
      const task = tasks[(first + i) % tasks.length]!
      const to = nodes
        .map((_, at) => nodes[(first + i + at) % nodes.length]!)
        .find((node) => node !== task.node && unfitMoves(world, [...moves, { task: task.id, to: node }]).length === 0)
      if (to !== undefined) moves.push({ task: task.id, to })
    }
    return moves
  }

  private async join(node: string, keyFingerprint: string, life: Life): Promise<void> {
    const isCut = this.network.isCut(node, 'up') || this.network.isCut(node, 'down')
    const wait = (ms: number) => new Promise<void>((resolve) => life.take(this.timeline.now + ms, resolve))
    await wait(this.network.latency())
    if (isCut || !this.coordinator.isUp) {
      await wait(100)
      throw unreachable()
    }
    // The answer may be lost with the coordinator.
    const limit = wait(10_000).then(() => Promise.reject(new BerthError('timed-out', 'the coordinator did not answer')))
    limit.catch(() => {})
    const asked = this.submit({ kind: 'join-node', node, keyFingerprint })
    await Promise.race([asked, limit])
    await wait(this.network.latency())
  }

  private async rejoin(host: Host): Promise<void> {
    const removed = await this.submit({ kind: 'remove-node', node: host.name }).then(
      () => true,
      () => false,
    )
    // One that has no identity any more asks for a new one by itself.
    if (!removed || !host.disk.written.has('identity')) return
    this.timeline.after(this.chance.between(100, 3_000), () => host.forgetIdentity())
  }

  // ------------------------------------------------------------------ faults

  private do({ deed }: Item): void {
    if (this.isHealed) return
    if (deed.kind === 'change') {
      this.ask(deed.change)
      return
    }
    this.trace.tell('fate', printDeed(deed))
    this.befall(deed)
  }

  private befall(deed: Exclude<Deed, { kind: 'change' }>): void {
    const { coordinator, network, timeline } = this
    const host = 'node' in deed ? this.hosts.get(deed.node)! : null
    const engine = host?.engine
    const over = (undo: () => void) => 'forMs' in deed && timeline.after(deed.forMs, () => this.isHealed || undo())
    switch (deed.kind) {
      case 'rebalance':
        this.rebalance(deed)
        break
      case 'undo-rebalance':
        this.ask(deed)
        break
      case 'rejoin':
        void this.rejoin(host!)
        break
      case 'by-hand': {
        const own = [...engine!.containers.values()].filter((container) => isOurs(host!, container))
        const chosen = own[deed.which % Math.max(1, own.length)]
        if (chosen) engine!.byHand(deed.act, chosen.seen.id)
        break
      }
      case 'kill-agent':
        if (deed.after === 0) host!.killAgent()
        else host!.killAgentAfter(deed.after)
        break
      case 'stop-agent':
        host!.stopAgent()
        break
      case 'stall-agent':
        host!.life?.stall(deed.forMs)
        break
      case 'kill-coordinator':
        if (deed.after === 0) coordinator.kill()
        else coordinator.killAfter(deed.after)
        break
      case 'stop-coordinator':
        coordinator.stop()
        break
      case 'stall-coordinator':
        coordinator.life?.stall(deed.forMs)
        break
      case 'crash-engine':
        engine!.crash()
        over(() => host!.isOn && engine!.boot())
        break
      case 'hang-engine':
        engine!.hang(deed.forMs)
        break
      case 'failing-engine':
        engine!.failsWith = { acts: deed.acts, looks: deed.looks }
        over(() => {
          engine!.failsWith = { acts: 0, looks: 0 }
        })
        break
      case 'slow-engine':
        engine!.callMs = [50, 8_000]
        over(() => {
          engine!.callMs = [1, 60]
        })
        break
      case 'drop-events':
        engine!.dropEvents()
        break
      case 'power-cut':
        host!.powerOff()
        over(() => host!.powerOn())
        break
      case 'wipe':
        host!.wipe()
        break
      case 'partition':
        this.partition(deed)
        break
      case 'reset':
        network.reset(deed.node)
        break
      case 'slow-network':
        network.latencyMs = [50, 1_500]
        over(() => {
          network.latencyMs = [0.2, 2]
        })
        break
      case 'set-clock':
        this.wallOf(deed.who).offsetMs += deed.byMs
        break
      case 'full-store':
        coordinator.disk.isFull = true
        over(() => {
          coordinator.disk.isFull = false
        })
        break
      case 'full-disk':
        host!.disk.isFull = true
        over(() => {
          host!.disk.isFull = false
        })
        break
      case 'no-registry':
        engine!.registryIsUp = false
        over(() => {
          engine!.registryIsUp = true
        })
        break
    }
  }

  private readonly cuts = new Set<() => void>()

  private partition({ nodes, directions, forMs }: Extract<Deed, { kind: 'partition' }>): void {
    const { network, timeline, cuts } = this
    for (const node of nodes) for (const direction of directions) network.cut(node, direction)
    const mend = () => {
      if (!cuts.delete(mend)) return
      for (const node of nodes) for (const direction of directions) network.mend(node, direction)
    }
    cuts.add(mend)
    timeline.after(forMs, mend)
  }

  private wallOf(who: string) {
    return this.hosts.get(who)?.wall ?? this.coordinator.wall
  }

  // ------------------------------------------------------------------ healing

  private heal(): void {
    this.trace.tell('fate', 'all is healed')
    this.isHealed = true
    const { coordinator, network } = this
    for (const mend of [...this.cuts]) mend()
    network.latencyMs = [0.2, 2]
    coordinator.disk.isFull = false
    coordinator.spare()
    for (const host of this.hosts.values()) {
      const { engine, disk } = host
      disk.isFull = false
      host.spareAgent()
      engine.failsWith = { acts: 0, looks: 0 }
      engine.callMs = [1, 60]
      engine.registryIsUp = true
      engine.goOn()
      if (host.isOn) engine.boot()
      host.powerOn()
    }
    for (let atMs = this.plan.forMs + CARE_MS; atMs < this.plan.forMs + SETTLE_MS / 2; atMs += CARE_MS) {
      this.timeline.at(atMs, () => this.care())
    }
  }

  /** A host that lost its folder has another key than its name has: only an operator can let it in again. */
  private care(): void {
    const world = this.coordinator.loop?.world
    for (const host of this.hosts.values()) {
      const isKnown = world?.nodes.get(host.name)?.keyFingerprint === host.disk.written.get('identity')
      if (!isKnown) void this.rejoin(host)
    }
  }

  private settled(): void {
    const { loop } = this.coordinator
    if (!this.coordinator.isUp || !loop) this.violate('all is as wanted', 'the coordinator is not up')
    else this.violate('all is as wanted', allIsAsWanted(loop.world, this.hosts))
    if (this.violation) throw new Error(this.violation.message)
  }

  private isUp(id: string | undefined): boolean {
    const task = id === undefined ? undefined : this.coordinator.loop?.world.tasks.get(id)
    return task !== undefined && isUp(task)
  }

  /** The restart of no part of Berth touches a healthy container. */
  private async stayStill(): Promise<void> {
    const before = steadyRuns(this.hosts)
    const awaited = replacementsAwaited(this.coordinator.loop!.world, this.hosts)
    this.coordinator.kill()
    for (const host of this.hosts.values()) host.killAgent()
    await this.until(this.timeline.now + STILL_MS)
    const after = steadyRuns(this.hosts)
    for (const [container, startedAt] of before) {
      if (after.get(container) === startedAt || this.isUp(awaited.get(container))) continue
      this.violate(
        'nothing is restarted without cause',
        `${container} ran, all was well, and it was ended or restarted`,
      )
    }
    this.settled()
  }
}
