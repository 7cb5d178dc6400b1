/**
 * The flight recorder: takes down what the loop is about to apply that is bad, with its evidence, as an incident on disk.
 * Failures of the same within ten minutes are one incident that counts them, so that a crash loop cannot push out the rest.
 * The loop stores a draft together with the bad transition and hands it over once it is durable; it never waits. What cannot be
 * kept is counted and said.
 */
import type { Clock, Instant } from '../../shared/clock.ts'
import { BerthError } from '../../shared/errors.ts'
import type { Log } from '../../shared/log.ts'
import type { LastMinute } from '../../shared/wire/up.ts'
import type { LogReader } from '../core.ts'
import { badTransitions } from '../decide/bad-transition.ts'
import type { NewEvent } from '../events.ts'
import type { Write } from '../store/store.ts'
import type { NodeName, World, WorldValue } from '../world.ts'
import { type Draft, draftsLeft, forgetDraft, newestDraft, type StoredDrafts } from './drafts.ts'
import { type Incident, type IncidentLines, incidentOf, type SamplesOf, withAnother } from './incident.ts'
import { IncidentFiles, type IncidentSummary } from './incident-files.ts'
import { lastLines } from './last-lines.ts'
import { inSteps, LastMinutes, Samples } from './samples.ts'

export type FlightRecorderOptions = {
  dir: string
  /** Where lines come from. */
  logs: () => Pick<LogReader, 'read'>
  /** Of the coordinator: what a kill left in it is taken down. */
  store: StoredDrafts
  /** Puts an event into the stream. */
  tell: (event: NewEvent) => void
  /** Has it written to the store in one transaction with an event that is told in the same turn. */
  put: (write: Write) => void
  clock: Clock
  log: Log
  /** For tests. */
  max?: { count: number; bytes: number }
}

/** `before`: only incidents with a lower number. `since`: those that went on then or later. */
export type IncidentQuery = { before?: number; limit: number; service?: string; node?: string; since?: Instant }

export type IncidentStats = { incidents: number; bytes: number; lost: number }

/** Failures of one slot, node or rollout no further apart are one incident. */
export const SAME_WITHIN_MS = 10 * 60_000
/** More slots of one service that fail together are counted in the newest of its incidents. */
export const SLOTS_PER_SERVICE_MAX = 10
/** What waits to be written; more is counted as lost. */
const INBOX_MAX = 1_000
/** The last lines of what has just ended may be on their way. */
const LINES_AFTER_MS = 1_500

export class FlightRecorder {
  readonly #options: FlightRecorderOptions
  readonly #files: IncidentFiles
  readonly #samples = new Samples()
  readonly #lastMinutes = new LastMinutes()
  readonly #stop = new AbortController()
  /** Of the coordinator that ran before. */
  readonly #newestDraftBefore: number
  #newestDraft: number
  #hasTakenLeft = false
  #inbox: Draft[] = []
  #working: Promise<void> = Promise.resolve()
  #isWorking = false
  #lost = 0

  constructor(options: FlightRecorderOptions) {
    this.#options = options
    this.#files = new IncidentFiles(options.dir, options.log, options.max)
    this.#newestDraftBefore = newestDraft(options.store)
    this.#newestDraft = this.#newestDraftBefore
  }

  /** Called before the value is applied: what is bad about it, to be stored with it. `waiting`: how many others are to be. */
  value(value: WorldValue, world: World, waiting: number): Draft[] {
    this.#sample(value, world)
    const drafts: Draft[] = []
    for (const bad of badTransitions(world, value)) {
      if (this.#inbox.length + waiting + drafts.length >= INBOX_MAX) {
        this.#lose(`${INBOX_MAX} wait to be written already`)
        continue
      }
      const incident = incidentOf(world, bad, this.#samplesOf(world))
      if (incident !== null) drafts.push({ number: ++this.#newestDraft, incident })
    }
    return drafts
  }

  /** Of tasks on the node, of which the agent is about to tell what went bad. */
  lastMinutes(node: NodeName, tasks: readonly LastMinute[]): void {
    this.#lastMinutes.add(node, tasks)
  }

  /** In the order in which they were made. */
  stored(drafts: readonly Draft[]): void {
    this.#inbox.push(...drafts)
    if (this.#inbox.length > 0) this.#work()
  }

  /** Newest first; `next` is the `before` of the next page. */
  async list({ before, limit, service, node, since }: IncidentQuery) {
    const found = (await this.#files.summaries()).filter(
      (each) =>
        (before === undefined || each.number < before) &&
        (service === undefined || each.service === service) &&
        (node === undefined || each.nodes.includes(node)) &&
        (since === undefined || each.lastAt >= since),
    )
    const items = found.reverse().slice(0, limit)
    return { items, next: found.length > limit ? (items.at(-1)?.number ?? null) : null }
  }

  /** @throws BerthError `incident-not-found` */
  async get(number: number): Promise<Incident> {
    const incident = await this.#files.read(number)
    if (incident !== null) return incident
    throw new BerthError('incident-not-found', `no incident ${number} is kept; berth incident ls shows those that are`)
  }

  stats(): IncidentStats {
    return { ...this.#files.stats(), lost: this.#lost }
  }

  /** Goes on with what a kill left undone. */
  async resume(): Promise<void> {
    for (const { number, isWaiting } of await this.#files.summaries()) if (isWaiting) this.#keepLinesLater(number)
    this.#work()
  }

  /** What has been handed over is on disk once it resolves. */
  async close(): Promise<void> {
    this.#stop.abort()
    await this.#working
  }

  // ---------------------------------------------------------------- samples

  #sample(value: WorldValue, world: World): void {
    if (!('observation' in value) || value.observation.kind !== 'heartbeat') return
    const { at } = value
    const { node, load, containers } = value.observation
    const isGone = (name: string) => !world.tasks.has(name) && !world.nodes.has(name)
    this.#samples.add(node, { at, ...used(load), cpuThrottledShare: 0 }, isGone)
    for (const each of containers) {
      // First, as of a million tasks few are sampled, and looking one up there costs more than all else.
      if (!this.#samples.takes(each.task, at) || world.tasks.get(each.task)?.node !== node) continue
      this.#samples.add(each.task, { at, ...used(each), cpuThrottledShare: each.cpuThrottledShare ?? 0 }, isGone)
    }
  }

  /** Agents of older versions tell no last minute; nor is one known of a container that ran for less than a second. */
  #samplesOf(world: World): SamplesOf {
    return ({ node, task, attempt }) => {
      const told = this.#samples.of(task ?? node)
      const lastMinute = task === undefined ? null : this.#lastMinutes.of(node, task, attempt)
      return lastMinute === null ? told : inSteps(lastMinute, world.nodes.get(node)?.clockSkewMs ?? 0, told)
    }
  }

  // ---------------------------------------------------------------- writing, one after the other

  #work(): void {
    if (this.#isWorking) return
    this.#isWorking = true
    void this.#inTurn(async () => {
      if (!this.#hasTakenLeft) await this.#takeLeft().catch((error: unknown) => this.#lose(String(error)))
      this.#hasTakenLeft = true
      while (this.#inbox.length > 0) {
        const [draft] = this.#inbox.splice(0, 1)
        await this.#takeDown(draft!)
      }
    }).finally(() => {
      this.#isWorking = false
      if (this.#inbox.length > 0) this.#work()
    })
  }

  /** Before all others, since files are written in the order of drafts: what has been written already needs only to be told. */
  async #takeLeft(): Promise<void> {
    const kept = await this.#files.summaries()
    const newestKept = Math.max(0, ...kept.map(({ drafts }) => drafts.last))
    for (const draft of draftsLeft(this.#options.store, this.#newestDraftBefore)) {
      if (draft.number > newestKept) await this.#takeDown(draft)
      else this.#settle(draft.number, kept.find(({ drafts }) => drafts.first === draft.number) ?? null)
    }
  }

  async #takeDown({ number, incident }: Draft): Promise<void> {
    const news = await this.#keep({ ...incident, drafts: { first: number, last: number } }).catch((error: unknown) => {
      this.#lose(String(error))
      return null
    })
    this.#settle(number, news)
  }

  /** The new incident; null: it is counted in another. */
  async #keep(incident: Incident): Promise<Incident | null> {
    const same = sameIncident(await this.#files.summaries(), incident)
    const known = same === null ? null : await this.#files.read(same.number)
    if (known !== null) {
      await this.#files.write(withAnother(known, incident))
      return null
    }
    const added = await this.#files.add(incident)
    if (added.lines.state === 'waiting') this.#keepLinesLater(added.number)
    return added
  }

  /** Both in one transaction, so that it is told once. */
  #settle(draft: number, news: Told | null): void {
    if (news !== null) this.#options.tell(incidentEvent(news))
    this.#options.put(forgetDraft(draft))
  }

  #keepLinesLater(number: number): void {
    const { clock, logs } = this.#options
    const { signal } = this.#stop
    void (async () => {
      await clock.sleep(LINES_AFTER_MS, signal)
      const incident = await this.#files.read(number)
      if (incident === null || incident.lines.from === null) return
      const lines = await lastLines(logs(), incident.lines.from, signal)
      if (!signal.aborted) await this.#inTurn(() => this.#putLines(number, lines))
    })().catch((error: unknown) => {
      if (!signal.aborted) this.#options.log.error({ incident: number, error: String(error) }, 'its lines are not kept')
    })
  }

  async #putLines(number: number, lines: Omit<IncidentLines, 'from'>): Promise<void> {
    const incident = await this.#files.read(number)
    if (incident !== null) await this.#files.write({ ...incident, lines: { ...incident.lines, ...lines } })
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.#working.then(work)
    this.#working = done.catch(() => {})
    return done
  }

  #lose(why: string): void {
    if (this.#lost === 0) this.#options.log.error({ why }, 'an incident could not be kept')
    this.#lost += 1
  }
}

/** The incident that this failure belongs to; null: it is a new one. */
function sameIncident(summaries: IncidentSummary[], { subject, service, at }: Incident): IncidentSummary | null {
  const open = summaries.filter(({ lastAt }) => at - lastAt < SAME_WITHIN_MS)
  const own = open.findLast((each) => each.subject === subject)
  if (own !== undefined || service === null || subject.startsWith('rollout ')) return own ?? null
  const others = open.filter((each) => each.service === service && each.task !== null)
  return others.length < SLOTS_PER_SERVICE_MAX ? null : (others.at(-1) ?? null)
}

/** What is told of a new one. */
type Told = Pick<Incident, 'number' | 'kind' | 'at' | 'service' | 'node' | 'task' | 'taskName' | 'reason'>

function incidentEvent({ number, kind, at, service, node, task, taskName, reason }: Told): NewEvent {
  const message = `incident ${number}: ${taskName ?? service ?? node} ${reason}; berth incident show ${number} has the evidence`
  const names = { ...(service && { service }), ...(node && { node }), ...(task && { task }) }
  const level = kind === 'node-drained' || kind === 'node-back' ? 'info' : 'warning'
  return { at, kind: 'incident', level, message, by: 'coordinator', ...names }
}

const used = ({ cpuCoresUsed, memoryBytesUsed }: { cpuCoresUsed: number; memoryBytesUsed: number }) => ({
  cpuCoresUsed,
  memoryBytesUsed,
})
