/**
 * The control loop. Changes and observations are applied to the world as they come and mark what needs a look; a beat
 * looks at everything marked, applies what was decided, stores all of it in one transaction and only then lets anybody
 * know: the agents, whoever submitted, whoever watches.
 *
 * A beat waits for the flush of the one before. So what sessions read when they are told is what is stored: between two
 * beats nothing but decisions changes an assignment. What happens on a full disk is told in docs/decisions/disk-full.md.
 */
import { strict as assert } from 'node:assert'
import type { Clock, Instant } from '../shared/clock.ts'
import { BerthError, type ErrorCode } from '../shared/errors.ts'
import type { Log } from '../shared/log.ts'
import { addEventWrite, type Batch, mergeBatches, newBatch, refuseAll } from './batch.ts'
import type { Core, Dispatcher } from './core.ts'
import { createDeafness } from './deafness.ts'
import { addMarks, isMarked, type Marks, newMarks } from './decide/marks.ts'
import type { DecideSettings } from './decide/settings.ts'
import type { Steps } from './decide/steps.ts'
import type { EventLog, NewEvent } from './events.ts'
import { draftWrites } from './incidents/drafts.ts'
import type { FlightRecorder } from './incidents/flight-recorder.ts'
import type { Recorder } from './journal/journal.ts'
import { roundsInSteps } from './rounds.ts'
import { apply } from './store/apply.ts'
import { carryObserved } from './store/carry-observed.ts'
import { loadWorld, WORLD_PREFIX } from './store/records.ts'
import type { Store, Write } from './store/store.ts'
import { tallyOf } from './store/tally.ts'
import { packedAhead } from './store/values.ts'
import { inTurns } from './turns.ts'
import { createWakeUp } from './wake-up.ts'
import type { Change, Decision, Observation, World, WorldValue } from './world.ts'

/** The pure part: everything that judges. `marksOf` and `eventsOf` are asked before the value is applied. */
export type Judgement = {
  admit(
    world: World,
    change: Change,
  ): { ok: true } | { ok: false; code: ErrorCode; message: string; details?: Record<string, unknown> }
  decide(
    world: World,
    marks: Marks,
    now: Instant,
    settings: DecideSettings,
  ): { decisions: Decision[]; wakeAt: Instant | null }
  /** The same, to be interrupted: while it is, nothing changes the world. Absent: `decide` is asked. */
  decideInSteps?(...asked: Parameters<Judgement['decide']>): Steps<ReturnType<Judgement['decide']>>
  marksOf(world: World, value: WorldValue): Marks
  eventsOf(world: World, value: WorldValue): NewEvent[]
}

export type LoopOptions = {
  store: Store
  world: World
  events: EventLog
  judgement: Judgement
  settings: DecideSettings
  clock: Clock
  log: Log
  metrics?: LoopMetrics
  /** Told of all that is applied, for `berth record`. */
  recorder?: Recorder
  /** Told of each value before it is applied, for what goes bad; and of the drafts of that once they are stored. */
  flightRecorder?: Pick<FlightRecorder, 'value' | 'stored'>
  /** For tests: how long others may wait for this thread at most, while a beat has much to do. */
  turnMs?: number
  /** For tests: after each beat asserts that deciding again, about everything, decides nothing. */
  checkTwice?: boolean
}

export type LoopMetrics = {
  beat(sample: { durationMs: number; decisions: Decision[]; stallMs: number }): void
  flush(sample: { durationMs: number; writes: number; failed: boolean }): void
}

export type Loop = Core & {
  /** Puts an event into the stream that no value of the world tells. With a full disk it is left out. */
  tell(event: NewEvent): void
  /** Stores what is no part of the world with the next batch, for which it costs no flush of its own. With a full disk it is left out. */
  put(write: Write): void
  setDispatcher(dispatcher: Dispatcher): void
  /** Runs until aborted, then stores what was submitted before. @throws BerthError when the store cannot be trusted any more. */
  run(signal: AbortSignal): Promise<void>
}

/** Submitters that wait for a flush; more are told to try again. */
const SUBMITTERS_MAX = 10_000
/** How often a full disk is tried again. */
const DISK_RETRY_MS = 1_000
const DISK_TRIED_KEY = ['disk', 'tried'] as const

/**
 * Judging takes no more than half of this process's time. While much comes in, what comes during a rest shares a beat; a beat
 * that is done in no time, like most, is followed by none.
 */
function restAfter(beatMs: number): number {
  return beatMs < REST_BEAT_MS_MIN ? 0 : Math.min(beatMs, REST_MS_MAX)
}

const REST_BEAT_MS_MIN = 2
const REST_MS_MAX = 50

export function createLoop(options: LoopOptions): Loop {
  const { store, events, judgement, clock, log, metrics, recorder, flightRecorder } = options
  const wakeUp = createWakeUp(clock)
  const deafness = createDeafness(clock)
  const beatListeners = new Set<() => void>()
  let world = tallied(options.world)
  const marks: { due: Marks } = { due: { ...newMarks(), all: true } }
  let batch = newBatch()
  let dispatcher: Dispatcher | null = null
  let diskFull: BerthError | null = null
  /** What waited for room is being stored. */
  let isTrying = false
  /** While a beat decides and its flush is in flight: who wants to read the world once it is what is stored. */
  let afterFlush: (() => void)[] | null = null
  /** While a beat decides, of which others may have turns: what came in meanwhile, in its order. Null: it is taken at once. */
  let arrived: (() => void)[] | null = null
  let stopped = false
  let beatMs = 0

  return {
    get world() {
      return world
    },
    events,
    submit,
    observe,
    whenDurable(callback) {
      if (afterFlush === null) callback()
      else afterFlush.push(callback)
    },
    onBeat(listener) {
      beatListeners.add(listener)
      return () => beatListeners.delete(listener)
    },
    tell(event) {
      if (stopped || diskFull !== null) return
      const added = events.add([event])
      batch.events.push(...added.records)
      for (const write of added.writes) addEventWrite(batch, write)
      batch.isEmpty = false
      wakeUp.now()
    },
    put(write) {
      if (stopped || diskFull !== null) return
      batch.writes.add(write)
      batch.isEmpty = false
    },
    setDispatcher(next) {
      dispatcher = next
    },
    run,
  }

  async function run(signal: AbortSignal): Promise<void> {
    wakeUp.now()
    void deafness.watch(signal)
    try {
      while (!signal.aborted) {
        const { stallMs } = await wakeUp.wait(signal)
        if (signal.aborted) break
        if (diskFull !== null) await tryDisk()
        else await beat(stallMs)
        const restMs = restAfter(beatMs)
        if (restMs > 0) await clock.sleep(restMs, signal).catch(() => {})
      }
      stopped = true
      if (diskFull === null) await save(takeBatch())
    } finally {
      stopped = true
      for (const act of arrived ?? []) act()
      refuseAll(batch, stopping())
    }
  }

  // ---------------------------------------------------------------- what comes in

  function submit(change: Change): Promise<number> {
    return new Promise((resolve, reject) => inOrder(() => void submitNow(change).then(resolve, reject)))
  }

  /** Nobody changes the world while a beat decides on it. */
  function inOrder(act: () => void): void {
    if (arrived === null) act()
    else arrived.push(act)
  }

  async function submitNow(change: Change): Promise<number> {
    if (stopped) throw stopping()
    if (diskFull !== null) throw diskFull
    if (batch.submitters.length >= SUBMITTERS_MAX) {
      throw new BerthError(
        'too-many-requests',
        `${SUBMITTERS_MAX} changes wait to be stored already; try again shortly`,
      )
    }
    const verdict = judgement.admit(world, change)
    if (!verdict.ok) throw new BerthError(verdict.code, verdict.message, { details: verdict.details ?? {} })
    take({ at: clock.now(), change })
    wakeUp.now()
    return new Promise((resolve, reject) => {
      batch.submitters.push({ revision: world.revision, resolve, reject })
      batch.isEmpty = false
    })
  }

  function observe(observation: Observation): void {
    const at = clock.now()
    inOrder(() => observeNow(observation, at))
  }

  function observeNow(observation: Observation, at: Instant): void {
    if (stopped) return
    take({ at, observation })
    // A node that connects is told its assignment by the beat, like every other change: never what is not stored.
    if (observation.kind === 'connected') {
      batch.nodes.add(observation.node)
      batch.isEmpty = false
    }
    if (diskFull !== null) queueMicrotask(tellNodesDespiteDisk)
    else if (!batch.isEmpty || isMarked(marks.due)) wakeUp.now()
  }

  function take(value: WorldValue): void {
    recorder?.value(value, world, marks.due)
    const drafts = flightRecorder?.value(value, world, batch.drafts.length) ?? []
    addMarks(marks.due, judgement.marksOf(world, value))
    // With no room for them, events would only grow in memory; the log has what matters.
    const told = diskFull === null ? judgement.eventsOf(world, value) : []
    if ('decision' in value && value.decision.kind === 'forget-task') {
      const task = world.tasks.get(value.decision.task)
      if (task) batch.forgotten.set(task.id, task)
    }
    if ('change' in value && value.change.kind === 'remove-node') {
      const node = world.nodes.get(value.change.node)
      if (node) batch.removed.set(node.name, node)
    }
    const writes = apply(world, value)
    if (told.length > 0) {
      const added = events.add(told.map((event) => ({ ...event, by: whoDid(value) })))
      batch.events.push(...added.records)
      for (const write of added.writes) addEventWrite(batch, write)
    }
    for (const write of writes) {
      batch.writes.add(write)
      if (write.key[1] === 'assignment') batch.nodes.add(String(write.key[2]))
    }
    batch.drafts.push(...drafts)
    if (writes.length > 0 || told.length > 0 || drafts.length > 0) batch.isEmpty = false
  }

  // ---------------------------------------------------------------- the beat

  async function beat(lateMs: number): Promise<void> {
    const now = clock.now()
    const settings = { ...options.settings, stalls: deafness.look() }
    const startedAt = clock.monotonicMs()
    recorder?.beat(now, settings, world, marks.due)
    arrived = []
    afterFlush ??= []
    const takeDecision = (decision: Decision) => take({ at: now, decision })
    const { decisions, wakeAt } = await turns(roundsInSteps(judgement, world, marks, now, settings, takeDecision))
    wakeUp.at(wakeAt)
    if (options.checkTwice) assertNothingLeft(now, settings)
    await turns(takeArrived())
    if (isMarked(marks.due)) wakeUp.now()
    beatMs = clock.monotonicMs() - startedAt
    metrics?.beat({ durationMs: beatMs, decisions, stallMs: lateMs })
    await save(takeBatch())
  }

  /** Also what comes in while that is done. */
  function* takeArrived(): Steps {
    for (let next = 0; arrived !== null && next < arrived.length; next++) {
      arrived[next]!()
      yield
    }
    arrived = null
  }

  function turns<Result>(steps: Steps<Result>): Promise<Result> {
    return inTurns(steps, clock, options.turnMs)
  }

  function takeBatch(): Batch {
    const taken = batch
    batch = newBatch()
    return taken
  }

  async function save(saving: Batch): Promise<void> {
    if (saving.isEmpty) return tellReaders()
    try {
      await flush([...saving.writes, ...saving.eventWrites, ...draftWrites(saving.drafts)])
    } catch (error) {
      if (!(error instanceof BerthError) || error.code !== 'disk-full') {
        refuseAll(saving, error)
        throw error
      }
      return stepBack(saving, error)
    }
    await turns(tell(saving))
  }

  async function flush(writes: Write[]): Promise<void> {
    if (writes.length === 0) return
    const startedAt = clock.monotonicMs()
    let failed = true
    afterFlush ??= []
    try {
      await store.transact(await turns(packAll(writes)))
      failed = false
    } finally {
      metrics?.flush({ durationMs: clock.monotonicMs() - startedAt, writes: writes.length, failed })
    }
  }

  /** What is written does not change any more: the world's writes are copies, and what stands in them is replaced, never changed. */
  function* packAll(writes: readonly Write[]): Steps<Write[]> {
    const packed: Write[] = []
    for (const write of writes) {
      packed.push(packedAhead(write))
      yield
    }
    return packed
  }

  function* tell(saved: Batch): Steps {
    for (const node of saved.nodes) {
      dispatcher?.nodesChanged([node])
      yield
    }
    tellReaders()
    for (const { revision, resolve } of saved.submitters) resolve(revision)
    flightRecorder?.stored(saved.drafts)
    events.publish(saved.events)
    for (const listener of [...beatListeners]) listener()
  }

  function tellReaders(): void {
    const readers = afterFlush ?? []
    afterFlush = null
    for (const reader of readers) reader()
  }

  function assertNothingLeft(now: Instant, settings: DecideSettings): void {
    if (isMarked(marks.due)) return
    const again = judgement.decide(world, { ...newMarks(), all: true }, now, settings)
    assert.deepEqual(again.decisions, [], 'deciding twice on the same world decides nothing the second time')
  }

  // ---------------------------------------------------------------- a full disk

  /** The world is ahead of what is stored: back to that, keeping what agents told, which they would not repeat. */
  function stepBack(failed: Batch, error: BerthError): void {
    diskFull = error
    log.error({ code: error.code, ...error.details }, `${error.message}. Changes are refused until there is room`)
    refuseAll(failed, error)
    refuseAll(batch, error)
    events.forgetUnpublished()
    recorder?.lost()
    const ahead = world
    world = loadWorld(store.range(WORLD_PREFIX), ahead.cluster)
    const { nodes, drafts, ...gone } = mergeBatches(failed, batch)
    batch = newBatch()
    // What was decided or asked for will be again; what agents said will not.
    batch.drafts = drafts.filter(({ incident }) => incident.task !== null)
    for (const write of carryObserved(ahead, world, gone)) batch.writes.add(write)
    batch.nodes = nodes
    batch.isEmpty = false
    tallied(world)
    tellNodesDespiteDisk()
    tellReaders()
    wakeUp.in(DISK_RETRY_MS)
  }

  /**
   * With nothing being decided, assignments are as they are stored: an agent that connects may have its own. But for those whose
   * revision had to be raised: told before it is stored, the same number could mean something else after a start from the store.
   */
  function tellNodesDespiteDisk(): void {
    if (diskFull === null || isTrying || batch.nodes.size === 0) return
    const raised = new Set([...batch.writes].flatMap(({ key }) => (key[1] === 'assignment' ? [String(key[2])] : [])))
    const nodes = batch.nodes.difference(raised)
    batch.nodes = batch.nodes.intersection(raised)
    if (nodes.size > 0) dispatcher?.nodesChanged(nodes)
  }

  /** Nothing is decided while it could not be kept. What agents said meanwhile is what is tried with. */
  async function tryDisk(): Promise<void> {
    const trying = takeBatch()
    const tried: Write = { key: DISK_TRIED_KEY, value: clock.now() }
    isTrying = true
    try {
      await flush([...trying.writes, ...draftWrites(trying.drafts), tried])
    } catch (error) {
      if (!(error instanceof BerthError) || error.code !== 'disk-full') throw error
      diskFull = error
      batch = mergeBatches(trying, batch)
      isTrying = false
      tellNodesDespiteDisk()
      tellReaders()
      wakeUp.in(DISK_RETRY_MS)
      return
    }
    isTrying = false
    diskFull = null
    log.info({}, 'the store has room again: changes are taken')
    marks.due.all = true
    wakeUp.now()
    await turns(tell(trying))
  }
}

function tallied(world: World): World {
  world.tally = tallyOf(world)
  return world
}

function stopping(): BerthError {
  return new BerthError('unreachable', 'the coordinator is stopping; try again in a moment')
}

function whoDid(value: WorldValue): NonNullable<NewEvent['by']> {
  if ('decision' in value) return 'coordinator'
  if ('observation' in value) return 'agent'
  return value.change.kind === 'join-node' ? 'agent' : 'operator'
}
