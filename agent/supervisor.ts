/**
 * Owns the containers of this node: one loop that makes the Engine show what the assignment says.
 *
 * Messages and the Engine's events only mark tasks; the beat looks at everything marked, judges (decide/next-steps.ts) and
 * has the steps carried out (perform.ts), one at a time for each task. The whole list of containers is read only after a gap: at the
 * start, and when the Engine or its event stream was away.
 */

import { type Clock, systemClock } from '../shared/clock.ts'
import { BerthError } from '../shared/errors.ts'
import type { Log } from '../shared/log.ts'
import type { Assignment, AssignmentChange } from '../shared/wire/down.ts'
import { ASSIGNMENT_FILE, applyMessage, type KeptAssignment, readAssignment } from './assignment-file.ts'
import { AssignmentKeeper } from './assignment-keeper.ts'
import { isPassing, type Owner } from './decide/container.ts'
import { type EngineStops, engineCameBack, engineWentAway } from './decide/engine-stop.ts'
import { afterLeaving } from './decide/memory.ts'
import { nextSteps, ownContainer, printStep, type Step } from './decide/next-steps.ts'
import type { Reach } from './decide/probe.ts'
import { servicesInRollout } from './decide/sampling.ts'
import { afterHealth } from './decide/sickness.ts'
import type { Engine } from './docker/engine.ts'
import { answers, type EngineSession, openSession } from './engine-session.ts'
import { type AgentFiles, filesIn } from './files.ts'
import type { AssignOutcome, ContainerHandle, ObservedChange, Supervisor } from './parts.ts'
import { isEngineAway, Performer, WIDTHS, type Widths } from './perform.ts'
import { Probing } from './probing.ts'
import { Reporter } from './reporter.ts'
import { RestartFile } from './restart-file.ts'
import { Sight } from './sight.ts'
import {
  handleOf,
  isForgotten,
  isOver,
  newRecord,
  pictureOf,
  recordIn,
  type TaskRecord,
  wantsToRun,
} from './task-record.ts'
import { Waits } from './waits.ts'

export type SupervisorOptions = {
  engine: Engine
  /** A promise while this host has not joined yet: nothing is looked at before it is known whose the containers are. */
  owner: Owner | Promise<Owner>
  /** Exists or can be made; only this agent writes to it. */
  dataDir: string
  /** For simulations: another disk. */
  files?: AgentFiles
  clock?: Clock
  widths?: Partial<Widths>
  pullStallMs?: number
  /** When this host was switched on; null: not known. */
  bootedAt?: number | null
  /** Before a container is removed; bounded, never rejects. */
  lastWords?: (container: string) => Promise<void>
  log?: Log
}
type Notice = { code: string; message: string; task?: string }

/** No Engine stops and starts again within this. */
const ENGINE_ANSWERS_AT_ONCE_MS = 250
const ENGINE_RETRY_FIRST_MS = 250
const ENGINE_RETRY_MAX_MS = 5_000
/** The loop turns at least this often, whatever it waits for. */
const PAUSE_MAX_MS = 5_000
const SILENT: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }

/** `tell`: has a notice of another part told as one of its own. */
export function createSupervisor(options: SupervisorOptions): Supervisor & { tell(notice: Notice): void } {
  return new ContainerSupervisor(options)
}

class ContainerSupervisor implements Supervisor {
  private readonly engine: Engine
  private readonly ownerToCome: Owner | Promise<Owner>
  private owner: Owner = { cluster: '', node: '' }
  private readonly files: AgentFiles
  private readonly clock: Clock
  private readonly log: Log
  private readonly performer: Performer
  private readonly reporter: Reporter
  private readonly restartFile: RestartFile
  private readonly keeper: AssignmentKeeper
  private readonly sight: Sight
  private readonly probing: Probing
  private reach: Reach = { by: 'address' }
  private readonly notices = new Set<(notice: Notice) => void>()

  /** Null: nothing is known of what should run here, so nothing is touched. */
  private assignment: KeptAssignment | null = null
  private rollouts: ReadonlySet<string> = new Set()
  private readonly records = new Map<string, TaskRecord>()
  private readonly marked = new Set<TaskRecord>()
  private readonly listed = Promise.withResolvers<void>()
  private readonly loaded = Promise.withResolvers<void>()
  private assigning: Promise<unknown> = this.loaded.promise
  /** The assignment in force is on its way to the disk. Never rejects. */
  private keeping: Promise<void> = Promise.resolve()
  /** Null while the Engine is away. */
  private session: EngineSession | null = null
  private wake = Promise.withResolvers<void>()
  private readonly waits = new Waits<TaskRecord>()
  /** It has shown its containers in this session. */
  private isUp = false
  private downMessage = ''
  private stops: EngineStops

  constructor(options: SupervisorOptions) {
    const { engine, owner, clock = systemClock, widths, pullStallMs, bootedAt = null, log = SILENT, ...given } = options
    this.stops = { absence: null, bootedAt }
    this.engine = engine
    this.ownerToCome = owner
    this.files = given.files ?? filesIn(given.dataDir)
    this.clock = clock
    this.log = log
    const allWidths = { ...WIDTHS, ...widths }
    this.reporter = new Reporter({ state: 'down', message: `the Engine at ${engine.place} was not reached yet` }, clock)
    this.restartFile = new RestartFile(this.files, clock, (error) => this.notice('restarts-not-kept', error.message))
    this.keeper = new AssignmentKeeper({
      files: this.files,
      clock,
      owner: () => this.owner,
      failed: ({ message }) => this.notKept(message),
    })
    const shared = {
      engine,
      owner: () => this.owner,
      keepMemory: (record: TaskRecord) => this.restartFile.keep(record.id, record.memory, isOver(record)),
      notice: (code: string, message: string, task?: string) => this.notice(code, message, task),
    }
    const changed = (record: TaskRecord) => this.reporter.mark(record)
    const kept = () => this.keeping
    const { lastWords } = given
    this.performer = new Performer({ ...shared, clock, widths: allWidths, pullStallMs, changed, kept, lastWords })
    const marked = (record: TaskRecord) => this.mark(record)
    this.probing = new Probing({
      clock,
      reach: () => this.reach,
      changed: (record) => {
        this.reporter.mark(record)
        this.mark(record)
      },
    })
    const stops = () => this.stops
    this.sight = new Sight({ ...shared, records: this.records, width: allWidths.looks, stops, marked })
  }

  get revision(): number {
    return this.assignment?.revision ?? 0
  }

  async run(signal: AbortSignal): Promise<void> {
    const owner = await Promise.race([this.ownerToCome, aborted(signal)])
    if (!owner) return
    this.owner = owner
    await this.load()
    signal.addEventListener('abort', () => this.wake.resolve(), { once: true })
    let retryMs = ENGINE_RETRY_FIRST_MS
    while (!signal.aborted) {
      const since = this.clock.now()
      try {
        await this.superviseWhileUp(signal)
      } catch (error) {
        const wasUp = this.isUp
        const failedAt = this.clock.now()
        const isAway = await this.engineFailed(error, wasUp)
        if (isAway) this.stops = engineWentAway(this.stops, failedAt)
        const lastedLong = wasUp && this.clock.now() - since > ENGINE_RETRY_MAX_MS
        retryMs = lastedLong ? ENGINE_RETRY_FIRST_MS : Math.min(retryMs * 2, ENGINE_RETRY_MAX_MS)
        await this.clock.sleep(retryMs, signal).catch(() => {})
      }
    }
    this.probing.close()
    this.restartFile.close()
    this.keeper.close()
    this.reporter.close()
  }

  assign(message: Assignment | AssignmentChange): Promise<AssignOutcome> {
    const outcome = this.assigning.then(() => this.assignInTurn(message))
    this.assigning = outcome.catch(() => {})
    return outcome
  }

  async observeAll(): Promise<ObservedChange> {
    await this.listed.promise
    return this.reporter.all(this.records.values())
  }

  onChange(listener: (change: ObservedChange) => void): () => void {
    return this.reporter.onChange(listener)
  }

  onNotice(listener: (notice: Notice) => void): () => void {
    this.notices.add(listener)
    return () => this.notices.delete(listener)
  }

  tell({ code, message, task }: Notice): void {
    this.notice(code, message, task)
  }

  containers(): ContainerHandle[] {
    const now = this.clock.now()
    return [...this.records.values()]
      .map((record) => handleOf(record, this.rollouts, now))
      .filter((handle) => handle !== null)
  }

  // ------------------------------------------------------------------ what should run

  private async load(): Promise<void> {
    await this.files.make()
    for (const [task, memory] of this.restartFile.read()) this.records.set(task, newRecord(task, memory))
    const read = await readAssignment(this.files, this.owner)
    if (read.found === 'unusable') {
      this.notice('assignment-unusable', `${read.reason}. Containers are left as they are until the coordinator speaks`)
    }
    if (read.found === 'assignment') this.adopt(read.assignment)
    this.loaded.resolve()
  }

  /**
   * The next beat looks at what is new while it is being written. What would be wrong if this host went down before the
   * file is whole waits for it (see Performer): a container may be made, but none is started, stopped or removed.
   */
  private async assignInTurn(message: Assignment | AssignmentChange): Promise<AssignOutcome> {
    const applied = applyMessage(this.assignment, message)
    if (applied.outcome !== 'applied') return applied
    // A full disk must not keep this node from stopping or starting what it was told to.
    this.keeping = this.keeper.keep(applied.assignment)
    this.adopt(applied.assignment)
    await this.keeping
    return { outcome: 'applied' }
  }

  private adopt(assignment: KeptAssignment): void {
    const first = this.assignment === null
    this.assignment = assignment
    this.rollouts = servicesInRollout(assignment.tasks)
    const wanted = new Map(assignment.tasks.map((task) => [task.id, task]))
    for (const record of this.records.values()) {
      if (!wanted.has(record.id) && (record.assigned || first)) this.setAssigned(record, null)
    }
    for (const task of wanted.values()) this.setAssigned(recordIn(this.records, task.id), task)
  }

  private setAssigned(record: TaskRecord, task: TaskRecord['assigned']): void {
    const before = record.assigned
    const spec = (task && this.assignment?.specs[task.spec]) ?? null
    if (before && task && before.spec === task.spec && before.desired === task.desired) {
      record.assigned = task
      return
    }
    if (!before && record.observation?.state === 'stopping') record.memory = afterLeaving(record.memory)
    record.assigned = task
    // The grace of a task that is leaving stays known.
    record.spec = spec ?? (task?.desired === 'running' ? null : record.spec)
    this.mark(record)
    this.reporter.mark(record)
  }

  // ------------------------------------------------------------------ the Engine

  private async superviseWhileUp(signal: AbortSignal): Promise<void> {
    this.isUp = false
    const session = await openSession(
      this.engine,
      this.clock,
      (event) => this.sight.told(event),
      () => this.wake.resolve(),
    )
    this.session = session
    try {
      await this.engineIsBack()
      this.reach = await this.engine.reach()
      await this.sight.readAll()
      this.reporter.sees()
      for (const record of this.records.values()) this.reporter.mark(record)
      this.engineIsUp(session.facts)
      await this.beats(session, signal)
    } finally {
      this.session = null
      session.close()
    }
  }

  /** What ended while it was away is judged by whether it takes its containers with it. */
  private async engineIsBack(): Promise<void> {
    const { absence } = this.stops
    if (absence === null || absence.until !== null) return
    this.stops = engineCameBack(this.stops, this.clock.now(), await this.engine.endsContainers())
  }

  private engineIsUp(facts: { version: string; apiVersion: string }): void {
    this.log.info(facts, `the Engine at ${this.engine.place} is up`)
    this.isUp = true
    this.downMessage = ''
    this.reporter.engineIs({ state: 'up', ...facts })
    this.listed.resolve()
  }

  /**
   * A stream that ended says little: ask first. An Engine that answers, but has not shown its containers, is down all the same.
   * True: it went away, so that its containers may have ended with it. Where systemd holds its socket one that was restarted answers,
   * too, only not at once.
   */
  private async engineFailed(error: unknown, wasUp: boolean): Promise<boolean> {
    const known = error instanceof BerthError ? error : null
    const askedAt = this.clock.now()
    const isThere = wasUp && known?.code !== 'timed-out' && (await answers(this.engine))
    const wasThere = isThere && !known?.details.stops && this.clock.now() - askedAt <= ENGINE_ANSWERS_AT_ONCE_MS
    if (isThere) this.log.warn({ err: error }, `the containers of the Engine at ${this.engine.place} are listed anew`)
    else this.engineIsDown(error)
    return !wasThere && known?.code === 'engine-unavailable'
  }

  private engineIsDown(error: unknown): void {
    const message = error instanceof Error ? error.message : String(error)
    this.reporter.engineIs({ state: 'down', message })
    if (message !== this.downMessage)
      this.notice(error instanceof BerthError ? error.code : 'engine-unavailable', message)
    this.downMessage = message
    this.listed.resolve()
  }

  // ------------------------------------------------------------------ the beat

  private mark(record: TaskRecord): void {
    this.marked.add(record)
    this.wake.resolve()
  }

  private async beats(session: EngineSession, signal: AbortSignal): Promise<void> {
    while (!signal.aborted && session.lostBy() === null) {
      this.wake = Promise.withResolvers()
      for (const record of this.waits.takeDue(this.clock.monotonicMs())) this.comeDue(record)
      this.beat()
      const pause = new AbortController()
      const pauseMs = Math.min(Math.max(0, this.waits.nextAt - this.clock.monotonicMs()), PAUSE_MAX_MS)
      await Promise.race([this.wake.promise, this.clock.sleep(pauseMs, pause.signal).catch(() => {})])
      // With a reason of our own: making the usual one costs as much as the beat.
      pause.abort(null)
    }
    if (session.lostBy() !== null) throw session.lostBy()
  }

  /** Looks at everything marked. A task whose step is under way stays marked: its end wakes the next beat. */
  private beat(): void {
    if (!this.assignment && this.marked.size === 0) return
    const now = this.clock.now()
    for (const record of [...this.marked]) {
      if (record.operation?.kind === 'pull' && !wantsToRun(record)) this.abandon(record)
      if (record.operation) continue
      this.marked.delete(record)
      if (record.lookAt.size > 0) this.carryOut(record, 'look', () => this.sight.look(record))
      else this.judge(record, now)
    }
  }

  private judge(record: TaskRecord, now: number): void {
    this.probing.look(record)
    this.judgeHealth(record, now)
    const [step] = this.assignment ? nextSteps([pictureOf(record)], this.owner, now) : []
    if (!step) {
      if (this.assignment && isForgotten(record)) this.forget(record)
      else this.reporter.mark(record)
    } else if (step.kind === 'wait') {
      // By the clock that nobody sets: one set back would have it wait for hours.
      this.waits.set(record, this.clock.monotonicMs() + step.until - now)
      this.reporter.mark(record)
    } else {
      this.log.debug({ task: record.id, step: step.kind }, printStep(step))
      this.carryOut(record, step.kind, () => this.performer.perform(step, record))
    }
  }

  private judgeHealth(record: TaskRecord, now: number): void {
    const policy = wantsToRun(record) ? (record.spec?.restart ?? null) : null
    const after = afterHealth(record.memory, ownContainer(pictureOf(record)), policy, now)
    if (after === record.memory) return
    record.memory = after
    this.restartFile.keep(record.id, after, isOver(record))
  }

  private comeDue(record: TaskRecord): void {
    // Nothing tells of a removal that came to nothing.
    for (const container of record.containers.values()) if (isPassing(container)) record.lookAt.add(container.id)
    this.mark(record)
  }

  private carryOut(record: TaskRecord, kind: Step['kind'] | 'look', work: () => Promise<void>): void {
    const operation = { kind, abandoned: new AbortController() }
    const session = this.session
    record.operation = operation
    this.waits.delete(record)
    work()
      .catch((error) => {
        if (!isEngineAway(error)) this.log.warn({ task: record.id, err: error }, `${kind} of ${record.id} failed`)
        // Whatever was not done is found again after the list was read anew. A session that began since has read it.
        session?.lose(error)
      })
      .finally(() => {
        if (record.operation !== operation) return
        record.operation = null
        this.reporter.mark(record)
        this.mark(record)
      })
  }

  /** A pull that its task no longer waits for; it ends once no other shares it. */
  private abandon(record: TaskRecord): void {
    record.operation?.abandoned.abort()
    record.operation = null
    record.activity = null
  }

  private forget(record: TaskRecord): void {
    this.records.delete(record.id)
    this.marked.delete(record)
    this.waits.delete(record)
    this.restartFile.forget(record.id)
    this.probing.end(record)
    this.reporter.markGone(record)
  }

  private notKept(message: string): void {
    const path = this.files.pathOf(ASSIGNMENT_FILE)
    this.notice('assignment-not-kept', `the assignment could not be written to ${path}: ${message}`)
  }

  private notice(code: string, message: string, task?: string): void {
    this.log.warn({ code, task }, message)
    for (const listener of this.notices) listener({ code, message, task })
  }
}

function aborted(signal: AbortSignal): Promise<null> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(null)
    else signal.addEventListener('abort', () => resolve(null), { once: true })
  })
}
