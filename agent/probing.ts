/**
 * Probes the containers whose spec says so, each by its own clock, and keeps what came of it in the task's record. The rule is
 * decide/probe.ts, the asking host/prober.ts.
 */
import type { Clock, Timer } from '../shared/clock.ts'
import type { HealthProbe } from '../shared/spec.ts'
import { ownContainer } from './decide/next-steps.ts'
import {
  afterProbe,
  beginProbing,
  type ProbedRun,
  type ProbeOutcome,
  probeTarget,
  type Reach,
  runKey,
} from './decide/probe.ts'
import { probeOnce } from './host/prober.ts'
import { Lane } from './lane.ts'
import { plainPictureOf, type TaskRecord } from './task-record.ts'

/** Beside so many that wait for their answers others wait for their turn. */
const PROBES_AT_ONCE = 64
/** A clock that was set forth or back must not keep a probe from being made. */
const PAUSE_MAX_MS = 86_400_000

export type ProbingNeeds = {
  clock: Clock
  reach: () => Reach
  /** The health of the task's container, or what is said of it, is another one. */
  changed: (record: TaskRecord) => void
  /** For simulations. */
  probe?: typeof probeOnce
}

type Watch = { key: string; timer: Timer | null; stop: AbortController }

export class Probing {
  private readonly needs: ProbingNeeds
  private readonly watches = new Map<TaskRecord, Watch>()
  private readonly lane = new Lane(PROBES_AT_ONCE)

  constructor(needs: ProbingNeeds) {
    this.needs = needs
  }

  /** After each look at the record: begins with a run that is to be probed, ends with one that is over. */
  look(record: TaskRecord): void {
    const container = record.spec?.container.probe ? ownContainer(plainPictureOf(record)) : null
    const key = container?.state === 'running' ? runKey(container, record.memory.attempt) : null
    const watch = this.watches.get(record)
    if (watch?.key === key || (!watch && key === null)) return
    if (watch) this.end(record)
    if (key === null || !container) return
    const now = this.needs.clock.now()
    record.probed = beginProbing(key, container.startedAt ?? now, now)
    const next: Watch = { key, timer: null, stop: new AbortController() }
    this.watches.set(record, next)
    void this.turn(record, next)
  }

  end(record: TaskRecord): void {
    const watch = this.watches.get(record)
    this.watches.delete(record)
    watch?.timer?.stop()
    watch?.stop.abort(null)
  }

  close(): void {
    for (const record of [...this.watches.keys()]) this.end(record)
  }

  private async turn(record: TaskRecord, watch: Watch): Promise<void> {
    const { clock } = this.needs
    const outcome = await this.lane.run(() => this.ask(record, watch))
    const probe = record.spec?.container.probe
    if (this.watches.get(record) !== watch || !outcome || !probe || !record.probed) return
    const before = record.probed
    const after = afterProbe(before, outcome, probe)
    record.probed = after
    const pauseMs = Math.min(Math.max(after.nextAt - outcome.endedAt, 1), PAUSE_MAX_MS)
    watch.timer = clock.after(pauseMs, () => void this.turn(record, watch))
    if (isNews(before, after)) this.needs.changed(record)
  }

  private async ask(record: TaskRecord, watch: Watch): Promise<ProbeOutcome | null> {
    const { clock, reach, probe: ask = probeOnce } = this.needs
    const { spec } = record
    const container = ownContainer(plainPictureOf(record))
    const probe: HealthProbe | undefined = spec?.container.probe
    if (watch.stop.signal.aborted || !spec || !probe || container?.state !== 'running') return null
    const target = probeTarget(container, spec, reach())
    if ('unreachable' in target) {
      const at = clock.now()
      return { ok: false, message: target.unreachable, startedAt: at, endedAt: at }
    }
    return ask(probe, target, clock, watch.stop.signal)
  }
}

function isNews(before: ProbedRun, after: ProbedRun): boolean {
  return before.health !== after.health || before.message !== after.message
}
