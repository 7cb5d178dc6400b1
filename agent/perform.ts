/** Carries out steps: asks the Engine, and writes into the task's record what came of it. No policy here. */

import { availableParallelism } from 'node:os'
import { canonicalArch } from '../shared/arch.ts'
import type { Clock } from '../shared/clock.ts'
import { BerthError } from '../shared/errors.ts'
import type { RestartPolicy } from '../shared/spec.ts'
import type { TaskError } from '../shared/wire/up.ts'
import { belongsTo, type Container, type Owner } from './decide/container.ts'
import { afterFailedAttempt, afterRemoval, afterStart, beginAttempt } from './decide/memory.ts'
import { END_RETRY_MS, type Step, type StopReason } from './decide/next-steps.ts'
import { type Activity, taskError } from './decide/observe.ts'
import { containerRequest, LOG_DEFAULT, otherContainerName } from './docker/container-request.ts'
import type { Engine, ImageFacts } from './docker/engine.ts'
import { Lane } from './lane.ts'
import { Pulls } from './pulls.ts'
import type { TaskRecord } from './task-record.ts'

/** Beside one container that is slow to start, another goes on. */
const LAUNCHES_MIN = 2
const LAUNCHES_MAX = 8

export type Widths = { launches: number; ends: number; looks: number; pulls: number }

/**
 * How much one Engine is asked at once. Starting a container is the processor's work: one for each core, at most LAUNCHES_MAX.
 * Measured (`npm run bench deploy-many`, 120 containers, three Engines on two cores): 12.9 s with one at a time on each, 12.8
 * with two, 13.8 with three, 16.0 with four. Ends wait for graces, so many may. All together stay below the Engine's
 * SOCKETS_MAX.
 */
export const WIDTHS: Widths = {
  launches: Math.min(Math.max(availableParallelism(), LAUNCHES_MIN), LAUNCHES_MAX),
  ends: 12,
  looks: 6,
  pulls: 3,
}
/** A container whose grace is not known any more (its task is not assigned) was made with one; the Engine keeps to it. */
const GRACE_UNKNOWN_MS = 600_000

/** The Engine did not do the step because it is not there: no fault of the task. */
const ENGINE_CODES = new Set(['engine-unavailable', 'engine-forbidden', 'engine-too-old'])
export function isEngineAway(error: unknown): error is BerthError {
  return error instanceof BerthError && ENGINE_CODES.has(error.code)
}

export type PerformerNeeds = {
  engine: Engine
  owner: () => Owner
  clock: Clock
  widths: Widths
  pullStallMs?: number
  /** Before an attempt starts: its number must outlive this process. */
  keepMemory: (record: TaskRecord) => void
  /**
   * Resolves once the assignment in force is on disk. Until then nothing is done that would be wrong without it: an agent that
   * starts with the older file removes a container of which that says nothing, which harms none that has never run.
   */
  kept: () => Promise<void>
  /** Before a container is removed: its last log lines are seen to. Bounded, never rejects. */
  lastWords?: (container: string) => Promise<void>
  /** The record changed. */
  changed: (record: TaskRecord) => void
  notice: (code: string, message: string, task?: string) => void
}

export class Performer {
  private readonly needs: PerformerNeeds
  private readonly launches: Lane
  private readonly ends: Lane
  private readonly pulls: Pulls

  constructor(needs: PerformerNeeds) {
    this.needs = needs
    this.launches = new Lane(needs.widths.launches)
    this.ends = new Lane(needs.widths.ends)
    const { engine, widths, pullStallMs: stallMs } = needs
    this.pulls = new Pulls({ engine, width: widths.pulls, stallMs })
  }

  /**
   * Resolves when the step is done or has failed in a way that concerns its task alone.
   * @throws BerthError when the Engine is away
   */
  async perform(step: Exclude<Step, { kind: 'wait' }>, record: TaskRecord): Promise<void> {
    switch (step.kind) {
      case 'pull':
        return this.attempt(record, 'pulling', () => this.pull(step, record))
      case 'launch':
        return this.launches.run(() => this.attempt(record, null, () => this.launch(step, record)))
      case 'start':
        return this.launches.run(() => this.attempt(record, 'starting', () => this.start(step.container, record)))
      case 'stop':
        return this.ends.run(() =>
          this.end(record, step.why === 'unhealthy' ? null : 'stopping', () =>
            this.stop(step.container, step.why, record),
          ),
        )
      case 'remove':
        return this.ends.run(() => this.end(record, 'stopping', () => this.remove(step, record)))
    }
  }

  /** A step towards running. What goes wrong is the attempt's failure; the next one waits for its back-off. */
  private async attempt(record: TaskRecord, activity: Activity, work: () => Promise<void>): Promise<void> {
    const { assigned, spec } = record
    // While this waited for its turn the coordinator may have changed its mind; the next look finds out.
    if (!assigned || !spec || assigned.desired !== 'running') return
    const operation = record.operation
    record.memory = beginAttempt(record.memory)
    this.needs.keepMemory(record)
    record.activity = activity
    if (activity) this.needs.changed(record)
    try {
      await work()
    } catch (error) {
      if (isEngineAway(error)) throw error
      // It may be the last word of the task: an agent that knows the word, but not the task that it is of, would forget it.
      await this.needs.kept()
      if (record.operation === operation) this.fail(record, spec.restart, readError(error))
    } finally {
      if (record.operation === operation) record.activity = null
    }
  }

  private fail(record: TaskRecord, policy: RestartPolicy, error: TaskError): void {
    record.memory = afterFailedAttempt(record.memory, error, policy, this.needs.clock.now())
    this.needs.keepMemory(record)
  }

  private async pull(step: Extract<Step, { kind: 'pull' }>, record: TaskRecord): Promise<void> {
    const operation = record.operation
    if (!operation) return
    await this.pulls.wait(step.image, step.platform, operation.abandoned.signal)
    if (record.operation === operation) record.memory = { ...record.memory, image: 'ready' }
  }

  private async launch(step: Extract<Step, { kind: 'launch' }>, record: TaskRecord): Promise<void> {
    const { engine, kept } = this.needs
    const { container: spec } = step.spec
    await this.checkExternalVolumes(step)
    // Only the image knows whether it has a health test of its own; asked beside the creation, it costs no time.
    const image = engine.image(spec.image)
    image.catch(() => {})
    let id: string | null
    try {
      id = await this.createOrAdopt(step, record)
    } catch (error) {
      const missing = error instanceof BerthError && error.code === 'image-not-found'
      if (!missing || record.memory.image === 'ready') throw error
      if (spec.pullPolicy === 'never') throw notHere(spec.image)
      record.memory = { ...record.memory, image: 'missing' }
      return
    }
    if (id === null) return
    const known = record.containers.get(id)
    if (known?.state === 'running') return
    const made = known ?? newContainer(id, step, record, this.needs)
    record.containers.set(id, made)
    record.activity = 'starting'
    this.needs.changed(record)
    await kept()
    await engine.start(id).catch(async (error) => {
      throw whyNotStarted(error, spec.image, await image.catch(() => null))
    })
    const facts = await image.catch(() => null)
    const hasCheck = spec.healthcheck
      ? !('disabled' in spec.healthcheck) && spec.healthcheck.test?.[0] !== 'NONE'
      : facts?.hasHealthcheck
    this.runs(record, made, { health: hasCheck ? 'starting' : 'none', imageId: facts?.id ?? null })
  }

  private async checkExternalVolumes({ assigned, spec }: Extract<Step, { kind: 'launch' }>): Promise<void> {
    for (const mount of spec.container.mounts) {
      if (mount.type !== 'volume' || !mount.external || !mount.source) continue
      if (await this.needs.engine.volumeExists(mount.source)) continue
      throw new BerthError(
        'container-refused',
        `${assigned.service} mounts the external volume ${mount.source}, which is not on node ${this.needs.owner().node}: docker volume create ${mount.source}`,
      )
    }
  }

  /** A name that is taken: by this very task (made before, its answer lost) → that one; by a stranger → another name. */
  private async createOrAdopt(step: Extract<Step, { kind: 'launch' }>, record: TaskRecord): Promise<string | null> {
    const { engine } = this.needs
    const owner = this.needs.owner()
    const request = containerRequest(step.assigned, step.spec, owner, record.memory.attempt)
    try {
      return await engine.create(request)
    } catch (error) {
      if (!(error instanceof BerthError && error.code === 'conflict')) throw error
      const holder = await engine.inspect(request.name)
      if (holder && belongsTo(owner, holder) && holder.task === record.id) {
        record.containers.set(holder.id, holder)
        // Made from another spec: the next beat removes it first.
        return holder.spec === step.assigned.spec ? holder.id : null
      }
      return await engine.create({ ...request, name: otherContainerName(record.id, owner) })
    }
  }

  private async start(id: string, record: TaskRecord): Promise<void> {
    await this.needs.kept()
    const container = record.containers.get(id)
    await this.needs.engine.start(id)
    if (container) this.runs(record, container, { health: container.health === 'none' ? 'none' : 'starting' })
  }

  /**
   * Told at once; the Engine's event then brings the look that fills in the rest. But where the whole list was read while the answer
   * was on its way, and shows this run, perhaps even its end, that is the newer word.
   */
  private runs(record: TaskRecord, before: Container, given: Pick<Container, 'health'> & Partial<Container>): void {
    const { id } = before
    const known = record.containers.get(id)
    if (!known) return
    if (known !== before) record.lookAt.add(id)
    if (known.startedAt !== before.startedAt) return
    const fresh = { exitCode: null, oomKilled: false, error: null, healthyAt: null, healthMessage: null, pid: 0 }
    const startedAt = this.needs.clock.now()
    record.containers.set(id, { ...before, ...given, ...fresh, state: 'running', startedAt, finishedAt: null })
    record.memory = afterStart(record.memory)
  }

  /**
   * A step towards being gone, or (activity null: it stays what it is till then) towards another start. What goes wrong is tried
   * again, and said once.
   */
  private async end(record: TaskRecord, activity: Activity, work: () => Promise<void>): Promise<void> {
    await this.needs.kept()
    record.activity = activity
    this.needs.changed(record)
    try {
      await work()
      record.memory = { ...record.memory, holdUntil: null }
    } catch (error) {
      if (isEngineAway(error)) throw error
      if (record.memory.holdUntil === null) this.needs.notice('end-failed', readError(error).message, record.id)
      record.memory = { ...record.memory, holdUntil: this.needs.clock.now() + END_RETRY_MS }
      for (const id of record.containers.keys()) record.lookAt.add(id)
    } finally {
      record.activity = null
    }
  }

  private async stop(id: string, why: StopReason, record: TaskRecord): Promise<void> {
    const { engine, clock } = this.needs
    try {
      await engine.stop(id, record.spec?.container.stopGraceMs ?? GRACE_UNKNOWN_MS)
    } catch (error) {
      if (isEngineAway(error)) throw error
      await engine.kill(id)
    }
    const container = record.containers.get(id)
    if (container) record.containers.set(id, { ...container, state: 'exited', finishedAt: clock.now(), pid: 0 })
    // How it ended is asked where it goes on from there; otherwise it is removed next.
    if (why !== 'unhealthy') record.lookAt.delete(id)
  }

  private async remove(step: Extract<Step, { kind: 'remove' }>, record: TaskRecord): Promise<void> {
    const { container: id, why } = step
    await this.needs.lastWords?.(id)
    await this.needs.engine.remove(id)
    // It was told to be stopping. Should its task be assigned after all, that is another attempt.
    if (why === 'not-assigned') record.memory = { ...record.memory, begun: false }
    record.containers.delete(id)
    record.lookAt.delete(id)
    record.memory = afterRemoval(record.memory)
    this.needs.keepMemory(record)
  }
}

function newContainer(
  id: string,
  step: Extract<Step, { kind: 'launch' }>,
  record: TaskRecord,
  { engine, owner }: Pick<PerformerNeeds, 'engine' | 'owner'>,
): Container {
  const { ports, resources, logging = LOG_DEFAULT } = step.spec.container
  return {
    id,
    name: record.id,
    ...owner(),
    task: record.id,
    spec: step.assigned.spec,
    createdForAttempt: record.memory.attempt,
    state: 'created',
    startedAt: null,
    finishedAt: null,
    exitCode: null,
    oomKilled: false,
    error: null,
    health: 'none',
    healthyAt: null,
    healthMessage: null,
    imageId: null,
    pid: 0,
    ports: ports.flatMap(({ containerPort, hostPort, protocol }) =>
      hostPort ? [{ containerPort, hostPort, protocol }] : [],
    ),
    // A log that rotates fast is watched before its first line.
    logPath: logging.driver === 'json-file' ? engine.logPathOf(id) : null,
    memoryBytesLimit: resources.limit.memoryBytes ?? null,
  }
}

function notHere(image: string): BerthError {
  return new BerthError(
    'image-not-found',
    `image ${image} is not on this host, and its pull policy is "never": docker pull ${image}, or docker load it there`,
  )
}

function readError(error: unknown): TaskError {
  if (error instanceof BerthError) return taskError(error.code, error.message)
  return taskError('internal', error instanceof Error ? error.message : String(error))
}

/** Also a script that lacks its first line gives that error: so the image must be of another architecture, too. */
function whyNotStarted(error: unknown, image: string, facts: ImageFacts | null): unknown {
  const isFormat = error instanceof BerthError && /exec format error/i.test(error.message)
  const own = canonicalArch(process.arch)
  if (!isFormat || facts?.arch === undefined || canonicalArch(facts.arch) === own) return error
  const message = `image ${image} is made for ${facts.arch}, and this host is ${own}: ${error.message}`
  return new BerthError('wrong-platform', message, { cause: error })
}
