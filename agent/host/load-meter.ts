import type { ContainerLoad } from '../../shared/load.ts'
import { SAMPLING_DEFAULTS } from '../../shared/spec.ts'
import { type Pace, paceAfter, toldOf, withinBudget } from '../decide/sampling.ts'
import type { ContainerHandle, LoadMeter } from '../parts.ts'
import { CGROUP_ROOT, findCgroup } from './cgroup.ts'
import { ContainerMeter, SLOW_EVERY_SAMPLES } from './container-load.ts'
import { HostCgroup } from './host-cgroup.ts'
import { HostMeter } from './host-load.ts'
import { isToBeNamed, type NamedLoad } from './noticeable.ts'

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

/** Measures the host and its containers; the rates of the first sample are over the time since this call. */
export function createLoadMeter(options: LoadMeterOptions = {}): LoadMeter {
  return new KeptLoadMeter(options)
}

type Measured = {
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

class KeptLoadMeter implements LoadMeter {
  readonly #roots: { procRoot: string; cgroupRoot: string }
  readonly #now: () => number
  readonly #host: HostMeter
  readonly #measured = new Map<string, Measured>()
  #samples = 0
  #phase = 0

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
    const running = handles.filter(({ pid }) => pid > 0).slice(0, CONTAINERS_MEASURED_MAX)
    this.#forgetAllBut(running)
    const looked: Measured[] = []
    for (const handle of running) {
      const measured = this.#measuredFor(handle, sample)
      if (!all && !this.#isDue(measured, handle)) continue
      this.#measure(measured, handle, sample)
      looked.push(measured)
    }
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

  close(): void {
    this.#host.close()
    for (const { meter } of this.#measured.values()) meter?.close()
    this.#measured.clear()
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

  #measuredFor({ containerId, pid }: ContainerHandle, sample: number): Measured {
    const known = this.#measured.get(containerId)
    if (known !== undefined && known.pid === pid) return known
    known?.meter?.close()
    const phase = this.#phase++
    const measured: Measured = {
      ...{ pid, phase, meter: this.#meterFor(pid), named: undefined, load: null, pace: null, healthCheckMs: undefined },
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
    for (const [id, { meter }] of this.#measured) {
      if (ids.has(id)) continue
      meter?.close()
      this.#measured.delete(id)
    }
  }
}
