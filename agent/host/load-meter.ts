import type { Clock, Instant } from '../../shared/clock.ts'
import type { ContainerLoad } from '../../shared/load.ts'
import { SAMPLING_DEFAULTS } from '../../shared/spec.ts'
import type { Devices, LastMinute } from '../../shared/wire/up.ts'
import { type Pace, paceAfter, toldOf, withinBudget } from '../decide/sampling.ts'
import type { ContainerHandle, LoadMeter } from '../parts.ts'
import { CGROUP_ROOT, findCgroup } from './cgroup.ts'
import { ContainerMeter, SLOW_EVERY_SAMPLES } from './container-load.ts'
import { HostCgroup } from './host-cgroup.ts'
import { HostMeter } from './host-load.ts'
import { isToBeNamed, type NamedLoad } from './noticeable.ts'
import { RING_STEP_MS, type SampleRing } from './sample-ring.ts'

export type LoadMeterOptions = {
  procRoot?: string
  cgroupRoot?: string
  /** A path on the filesystem that the Engine keeps its data on; asked anew each time, as the Engine may come up later. */
  diskPath?: () => string
  /** The cgroup that is this host, where it shares its kernel with others; see HostCgroup. */
  hostCgroup?: string
  /** Milliseconds of a clock that never goes back. */
  now?: () => number
}

/** Four descriptors each; what is beyond is not measured, so that the agent never runs out of them for its real work. */
export const CONTAINERS_MEASURED_MAX = 2000

/** Rings of what has ended, for when that is told; the oldest go first. About 1.5 KB each. */
export const RINGS_OF_ENDED_MAX = 200

/** Measures the host and its containers; the rates of the first sample are over the time since this call. */
export function createLoadMeter(options: LoadMeterOptions = {}): KeptLoadMeter {
  return new KeptLoadMeter(options)
}

type Measured = {
  task: string
  attempt: number
  pid: number
  meter: ContainerMeter | null
  phase: number
  named: NamedLoad | undefined
  load: ContainerLoad | null
  /** When it was looked at last, and in which sample the slow readings come next. */
  lookedAtMs: number
  slowFrom: number
  pace: Pace | null
  /** As its handle had it when it was looked at. */
  healthCheckMs: number | undefined
}

/** Paces of neighbours are set off by this, so that calm ones do not all fall into one sample. A prime: it divides no interval. */
const PHASE_MS = 997

/** Heartbeats come once a second, too, mostly, and read all that there is to read: they go first. */
const AFTER_HEARTBEAT_MS = 100

class KeptLoadMeter implements LoadMeter {
  readonly #roots: { procRoot: string; cgroupRoot: string }
  readonly #now: () => number
  readonly #host: HostMeter
  readonly #measured = new Map<string, Measured>()
  /** By task: of its latest run that has ended. */
  readonly #ended = new Map<string, { attempt: number; ring: SampleRing }>()
  #samples = 0
  #phase = 0
  #nextLookMs = 0

  constructor(options: LoadMeterOptions) {
    this.#roots = { procRoot: options.procRoot ?? '/proc', cgroupRoot: options.cgroupRoot ?? CGROUP_ROOT }
    this.#now = options.now ?? (() => performance.now())
    const { hostCgroup, diskPath = () => '/' } = options
    const cgroup = hostCgroup === undefined ? null : new HostCgroup(hostCgroup, this.#roots.cgroupRoot)
    this.#host = new HostMeter({ procRoot: this.#roots.procRoot, diskPath, cgroup })
    this.#host.sample(this.#now())
  }

  sample(handles: ContainerHandle[], { all = false }: { all?: boolean } = {}) {
    const sample = this.#samples++
    const looked: Measured[] = []
    for (const handle of this.#onlyRunning(handles)) {
      const measured = this.#measuredFor(handle, sample)
      if (!all && !this.#isDue(measured, handle)) {
        measured.meter?.look(this.#now())
        continue
      }
      this.#measure(measured, handle, sample)
      looked.push(measured)
    }
    this.#nextLookMs = this.#now() + RING_STEP_MS + AFTER_HEARTBEAT_MS
    this.#keepWithinBudget()
    const containers: ContainerLoad[] = []
    for (const measured of looked) {
      if (measured.load === null) continue
      const { healthCheckMs } = measured
      const tested = healthCheckMs === undefined ? {} : { healthCheckMs }
      const load = { ...measured.load, ...tested, ...toldOf(measured.pace!) }
      if (!all && !isToBeNamed(measured.named, load, sample)) continue
      measured.named = { load, sample }
      containers.push(load)
    }
    return { load: this.#host.sample(this.#now()), containers }
  }

  /** Keeps the steps of rings while heartbeats are rarer, or there is no connection. Runs until aborted. */
  async run(containers: () => ContainerHandle[], clock: Pick<Clock, 'sleep'>, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const waitMs = this.#nextLookMs - this.#now()
      if (waitMs > 0) await clock.sleep(waitMs, signal).catch(() => {})
      else this.look(containers())
    }
  }

  /** At the two files of each, for its ring alone. */
  look(handles: ContainerHandle[]): void {
    for (const handle of this.#onlyRunning(handles)) this.#measuredFor(handle, this.#samples).meter?.look(this.#now())
    this.#nextLookMs = this.#now() + RING_STEP_MS
  }

  lastMinute(task: string, attempt: number, now: Instant): LastMinute | null {
    const ring = this.#ringOf(task, attempt)
    if (ring === null) return null
    const samples = ring.samples(this.#now(), now)
    return samples.at.length === 0 ? null : { task, attempt, ...samples }
  }

  devices(): Omit<Devices, 'kind'> | null {
    return this.#host.devices()
  }

  close(): void {
    this.#host.close()
    for (const { meter } of this.#measured.values()) meter?.close()
    this.#measured.clear()
  }

  #ringOf(task: string, attempt: number): SampleRing | null {
    for (const each of this.#measured.values()) {
      if (each.task === task && each.attempt === attempt) return each.meter?.ring ?? null
    }
    const ended = this.#ended.get(task)
    return ended?.attempt === attempt ? ended.ring : null
  }

  #onlyRunning(handles: ContainerHandle[]): ContainerHandle[] {
    const running = handles.filter(({ pid }) => pid > 0).slice(0, CONTAINERS_MEASURED_MAX)
    this.#forgetAllBut(running)
    return running
  }

  /** Something that the supervisor sees is wrong with it does not wait until it is looked at by itself. */
  #isDue({ pace, phase, lookedAtMs }: Measured, { sign }: ContainerHandle): boolean {
    if (pace === null || (sign !== undefined && pace.because !== sign)) return true
    // Samples come once a second, a little sooner or later: what is to be in each must not miss one for that.
    if (pace.everyMs <= SAMPLING_DEFAULTS.fullMs) return true
    const turn = (ms: number) => Math.floor((ms + phase * PHASE_MS) / pace.everyMs)
    return turn(this.#now()) > turn(lookedAtMs)
  }

  /** The slow readings of different containers fall into different samples, so that no sample takes five times the others. */
  #measure(measured: Measured, handle: ContainerHandle, sample: number): void {
    const slowToo = sample >= measured.slowFrom
    if (slowToo) measured.slowFrom = sample + SLOW_EVERY_SAMPLES
    if (measured.meter === null && slowToo) measured.meter = this.#meterFor(handle.pid)
    const now = this.#now()
    const load = measured.meter?.sample(handle, now, slowToo) ?? null
    const { sign = null, sampling = SAMPLING_DEFAULTS } = handle
    measured.pace = paceAfter(measured.pace, sign, { loadBefore: measured.load, load }, sampling, now)
    measured.load = load
    measured.lookedAtMs = now
    measured.healthCheckMs = handle.healthCheckMs
  }

  /** What the host may spend counts over all of them, also those that were not looked at just now. */
  #keepWithinBudget(): void {
    const paced = [...this.#measured.values()].filter(({ pace }) => pace !== null)
    const paces = withinBudget(paced.map(({ pace }) => pace!))
    for (const [index, measured] of paced.entries()) measured.pace = paces[index]!
  }

  #measuredFor({ containerId, task, attempt, pid }: ContainerHandle, sample: number): Measured {
    const known = this.#measured.get(containerId)
    if (known !== undefined && known.pid === pid) return known
    if (known !== undefined) this.#end(known)
    const phase = this.#phase++
    const measured: Measured = {
      ...{
        task,
        attempt,
        pid,
        phase,
        meter: this.#meterFor(pid),
        named: undefined,
        load: null,
        pace: null,
        healthCheckMs: undefined,
      },
      lookedAtMs: this.#now(),
      slowFrom: sample + (phase % SLOW_EVERY_SAMPLES),
    }
    this.#measured.set(containerId, measured)
    return measured
  }

  /** Null when the process has just ended or its cgroup is not to be found; tried again now and then. */
  #meterFor(pid: number): ContainerMeter | null {
    const cgroup = findCgroup(pid, this.#roots)
    return cgroup === null ? null : new ContainerMeter(cgroup, pid, this.#roots.procRoot)
  }

  #forgetAllBut(running: ContainerHandle[]): void {
    if (this.#measured.size === 0) return
    const ids = new Set(running.map(({ containerId }) => containerId))
    for (const [id, measured] of this.#measured) {
      if (ids.has(id)) continue
      this.#end(measured)
      this.#measured.delete(id)
    }
  }

  #end({ task, attempt, meter }: Measured): void {
    if (meter === null) return
    meter.close()
    this.#ended.delete(task)
    this.#ended.set(task, { attempt, ring: meter.ring })
    const [oldest] = this.#ended.keys()
    if (this.#ended.size > RINGS_OF_ENDED_MAX && oldest !== undefined) this.#ended.delete(oldest)
  }
}
