import type { ContainerLoad } from '../../shared/load.ts'
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

type Measured = { pid: number; meter: ContainerMeter | null; phase: number; named: NamedLoad | undefined }

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
    const containers: ContainerLoad[] = []
    for (const handle of running) {
      const measured = this.#measuredFor(handle)
      const load = this.#measure(measured, handle, sample)
      if (load === null || !(all || isToBeNamed(measured.named, load, sample))) continue
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

  /** The slow readings of different containers fall into different samples, so that no sample takes five times the others. */
  #measure(measured: Measured, handle: ContainerHandle, sample: number): ContainerLoad | null {
    const slowToo = (sample + measured.phase) % SLOW_EVERY_SAMPLES === 0
    if (measured.meter === null && slowToo) measured.meter = this.#meterFor(handle.pid)
    return measured.meter?.sample(handle, this.#now(), slowToo) ?? null
  }

  #measuredFor({ containerId, pid }: ContainerHandle): Measured {
    const known = this.#measured.get(containerId)
    if (known !== undefined && known.pid === pid) return known
    known?.meter?.close()
    const measured = { pid, meter: this.#meterFor(pid), phase: this.#phase++, named: undefined }
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
