/**
 * The same changes, hosts and failures as recorded, judged by another policy. Two worlds go side by side: in the one everything is as
 * recorded; in the other the decisions are made anew, and what agents tell is turned into what they would have told there:
 *
 * - what happened to a task in reality (pulling, running, ended) happens to it on whichever node it has now;
 * - one that reality says nothing of comes up, and goes, after the time that is usual for its service;
 * - a container uses what it used in reality, or what the others of its service did; the rest of a host's load stays with the host.
 */
import { saysHealth } from '../../shared/spec.ts'
import { compareProgress } from '../../shared/task-state.ts'
import type { TaskObservation } from '../../shared/wire/up.ts'
import { admit } from '../decide/admit.ts'
import type { Segment } from '../journal/format.ts'
import type { Change, Decision, NodeName, Observation, Task, TaskId, World } from '../world.ts'
import { type Judge, judgeFrom } from './judge.ts'
import { LoadModel } from './load-model.ts'
import { momentsOf } from './moments.ts'
import { Counter, type Tally } from './tally.ts'
import type { UsualDelays } from './usual-delays.ts'

export type Comparison = {
  recorded: Tally
  replayed: Tally
  /** Tasks that were placed in both, and how many of them on another node. */
  placedInBoth: number
  placedElsewhere: number
  /** Changes that this world does not admit, though they were made in reality. */
  changesRefused: number
}

type Due = { at: number; task: TaskId; what: 'up' | 'gone' }

/** `segments` follow each other without a gap; `same` is the snapshot of the first one, read a second time. */
export function replayOtherwise(
  segments: Iterable<Segment>,
  same: Segment['snapshot'],
  prepare: (world: World) => void,
  prepareChange: (change: Change) => Change,
  delays: UsualDelays,
): Comparison {
  let replay: Otherwise | null = null
  for (const { snapshot, entries } of segments) {
    if (replay === null) {
      prepare(snapshot.world)
      replay = new Otherwise(judgeFrom(same), judgeFrom(snapshot), prepareChange, delays)
    }
    for (const moment of momentsOf(entries)) {
      if (moment.kind === 'beat') replay.beat(moment.now, moment.stalls, moment.decisions)
      else if ('change' in moment.value) replay.change(moment.value.at, moment.value.change)
      else replay.observation(moment.value.at, moment.value.observation)
    }
  }
  if (replay === null) throw new Error('a recording has a segment')
  return replay.comparison()
}

class Otherwise {
  private readonly real: Judge
  private readonly other: Judge
  private readonly prepareChange: (change: Change) => Change
  private readonly delays: UsualDelays
  private readonly loads: LoadModel
  /** In the order of their times. */
  private readonly due: Due[] = []
  private readonly counters = { recorded: new Counter(), replayed: new Counter() }
  private readonly placedAt = { real: new Map<TaskId, NodeName>(), other: new Map<TaskId, NodeName>() }
  private stalls: Parameters<Judge['beat']>[1] = []
  private changesRefused = 0

  constructor(real: Judge, other: Judge, prepareChange: (change: Change) => Change, delays: UsualDelays) {
    this.real = real
    this.other = other
    this.prepareChange = prepareChange
    this.delays = delays
    this.loads = new LoadModel(real.world)
  }

  change(at: number, change: Change): void {
    this.liveUntil(at)
    this.real.take({ at, change })
    const prepared = this.prepareChange(change)
    if (admit(this.other.world, prepared).ok) this.other.take({ at, change: prepared })
    else this.changesRefused += 1
  }

  beat(now: number, stalls: Parameters<Judge['beat']>[1], decisions: readonly Decision[]): void {
    this.liveUntil(now)
    this.stalls = stalls
    for (const decision of decisions) {
      if (decision.kind === 'place-task') this.placedAt.real.set(decision.task, decision.node)
      this.real.take({ at: now, decision })
    }
    this.counters.recorded.beat(this.real.world, now, decisions)
    this.decide(now)
  }

  observation(at: number, observation: Observation): void {
    this.liveUntil(at)
    this.real.take({ at, observation })
    if (observation.kind === 'heartbeat') {
      this.counters.recorded.load(this.real.world, observation.node)
      this.other.take({ at, observation: this.loads.heartbeat(observation, this.other.world) })
      this.counters.replayed.load(this.other.world, observation.node)
    } else if (observation.kind === 'tasks') this.tasks(at, observation)
    else this.other.take({ at, observation })
  }

  comparison(): Comparison {
    const { real, other } = this.placedAt
    let placedInBoth = 0
    let placedElsewhere = 0
    for (const [task, node] of real) {
      const replayed = other.get(task)
      if (replayed === undefined) continue
      placedInBoth += 1
      if (replayed !== node) placedElsewhere += 1
    }
    const { recorded, replayed } = this.counters
    return {
      recorded: recorded.tally,
      replayed: replayed.tally,
      placedInBoth,
      placedElsewhere,
      changesRefused: this.changesRefused,
    }
  }

  // ---------------------------------------------------------------- what is decided there

  private decide(now: number): void {
    const { decisions } = this.other.beat(now, this.stalls)
    this.counters.replayed.beat(this.other.world, now, decisions)
    for (const decision of decisions) {
      if (decision.kind === 'place-task') {
        this.placedAt.other.set(decision.task, decision.node)
        this.plan(now, decision.task, 'up')
      } else if (decision.kind === 'stop-task') this.plan(now, decision.task, 'gone')
    }
  }

  private plan(now: number, id: TaskId, what: Due['what']): void {
    const task = this.other.world.tasks.get(id)
    if (!task) return
    const afterMs = what === 'up' ? this.delays.startMs(task.service) : this.delays.stopMs(task.service)
    const at = now + afterMs
    const before = this.due.findLastIndex((other) => other.at <= at)
    this.due.splice(before + 1, 0, { at, task: id, what })
  }

  /** What comes due before `at` happens, each at its time and followed by a beat, as it would be. */
  private liveUntil(at: number): void {
    for (let next = this.due[0]; next && next.at <= at; next = this.due[0]) {
      this.due.shift()
      if (this.happens(next)) this.decide(next.at)
    }
  }

  private happens({ at, task: id, what }: Due): boolean {
    const task = this.other.world.tasks.get(id)
    const node = task?.node == null ? undefined : this.other.world.nodes.get(task.node)
    if (!task || !node?.connection || !node.engine) return false
    const isStopping = task.desired === 'stopped'
    if (isStopping !== (what === 'gone')) return false
    const seen = what === 'up' ? this.comesUp(task, at) : null
    if (what === 'up' && seen === null) return false
    this.tell(node.name, at, seen ? [seen] : [], what === 'gone' ? [id] : [])
    return true
  }

  /** Null: it is further already. What reality knows of it counts more than what is usual. */
  private comesUp(task: Task, at: number): TaskObservation | null {
    const known = this.real.world.tasks.get(task.id)
    const spec = this.specOf(task)
    const running = { task: task.id, spec, attempt: 1, state: 'running' as const, since: at }
    const health = known?.observed.health === 'unhealthy' ? 'unhealthy' : this.hasHealthcheck(task) ? 'healthy' : 'none'
    const seen: TaskObservation = { ...running, health, healthSince: at }
    return compareProgress(seen, task.observed) > 0 ? seen : null
  }

  private hasHealthcheck(task: Task): boolean {
    const spec = this.other.world.services.get(task.service)?.versions.get(task.version)?.spec
    return spec !== undefined && saysHealth(spec.task.container)
  }

  private specOf(task: Task): string {
    return this.other.world.services.get(task.service)?.versions.get(task.version)?.taskHash ?? ''
  }

  private tell(node: NodeName, at: number, tasks: TaskObservation[], gone: TaskId[]): void {
    const { engine, appliedRevision: revision } = this.other.world.nodes.get(node)!
    if (!engine) return
    this.other.take({ at, observation: { kind: 'tasks', node, full: false, revision, engine, tasks, gone } })
  }

  // ---------------------------------------------------------------- what agents tell there

  /** Each task's news goes to the node that has it here; the node itself says what it has. */
  private tasks(at: number, observation: Extract<Observation, { kind: 'tasks' }>): void {
    const { node, engine, revision, full } = observation
    const own = full ? this.everythingOn(node) : []
    this.other.take({ at, observation: { kind: 'tasks', node, full, revision, engine, tasks: own, gone: [] } })
    for (const seen of observation.tasks) {
      const task = this.other.world.tasks.get(seen.task)
      if (task?.node == null || !this.other.world.nodes.get(task.node)?.connection) continue
      const isOver = seen.state === 'stopping' || seen.state === 'stopped'
      if (isOver && task.desired === 'running') continue
      this.tell(task.node, at, [{ ...seen, spec: this.specOf(task) }], [])
    }
    for (const id of observation.gone) {
      const task = this.other.world.tasks.get(id)
      if (task?.node != null && task.desired === 'stopped') this.tell(task.node, at, [], [id])
    }
  }

  private everythingOn(node: NodeName): TaskObservation[] {
    const seen: TaskObservation[] = []
    for (const task of this.other.world.tasksByNode.get(node) ?? []) {
      const { attempt, state, since, health, healthSince } = task.observed
      if (state === 'waiting' || state === 'assigned') continue
      seen.push({ task: task.id, spec: this.specOf(task), attempt, state, since, health, healthSince })
    }
    return seen
  }
}
