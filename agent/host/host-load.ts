/** The load of the host between one sample and the next, from /proc. */
import { statfsSync } from 'node:fs'
import { join } from 'node:path'
import type { HostDetail, HostLoad, Pressure } from '../../shared/load.ts'
import { DEVICES_MAX } from '../../shared/wire/bounds.ts'
import type { Devices } from '../../shared/wire/up.ts'
import type { HostCgroup } from './host-cgroup.ts'
import { KeptFile } from './kept-file.ts'
import {
  type CpuTicks,
  type DiskTransfer,
  diskDevices,
  networkDevices,
  parseCpuTicks,
  parseDisks,
  parseHostNetwork,
  parseLoadAverages,
  parseMemory,
  parsePressure,
  parseSwap,
  type Transfer,
} from './parse-proc.ts'

/** A full disk shows within so many samples; asking more often would tell nothing new. */
const DISK_SPACE_EVERY_SAMPLES = 10

/** As little changes in it that matters, so often is enough: an operator sees it in `berth stats`. */
const DETAIL_EVERY_SAMPLES = 5

/** The kernel counts CPU time in ticks of 10 ms: over less than this, a rate says nothing and the one before is given again. */
const INTERVAL_MS_MIN = 50

const NO_RATES = {
  cpuCoresUsed: 0,
  diskReadBytesPerSecond: 0,
  diskWriteBytesPerSecond: 0,
  networkReceiveBytesPerSecond: 0,
  networkSendBytesPerSecond: 0,
}

type Counters = { atMs: number; cpu: CpuTicks | null; cgroupMs: number | null; disk: DiskTransfer; network: Transfer }

export type HostMeterOptions = { procRoot: string; diskPath: () => string; cgroup?: HostCgroup | null }

export class HostMeter {
  readonly #files
  readonly #diskPath: () => string
  /** Null: this host has its kernel for itself, and what /proc says is said of it. */
  readonly #cgroup: HostCgroup | null
  #before: Counters | null = null
  #rates = NO_RATES
  #diskSpace = { diskBytesUsed: 0, diskBytesTotal: 0 }
  #samples = 0
  #detailCpuBefore: CpuTicks | null = null

  /** `diskPath`: a path on the filesystem that the Engine keeps its data on. */
  constructor({ procRoot, diskPath, cgroup = null }: HostMeterOptions) {
    const file = (name: string) => new KeptFile(join(procRoot, name))
    this.#diskPath = diskPath
    this.#cgroup = cgroup
    this.#files = {
      stat: file('stat'),
      memory: file('meminfo'),
      loadAverage: file('loadavg'),
      disks: file('diskstats'),
      network: file('net/dev'),
      cpuPressure: file('pressure/cpu'),
      memoryPressure: file('pressure/memory'),
      ioPressure: file('pressure/io'),
      uptime: file('uptime'),
    }
  }

  /** What cannot be read counts as 0; a container's view of /proc lacks some files. The first sample has no rates. */
  sample(atMs: number): HostLoad {
    this.#measureRates(atMs)
    if (this.#samples++ % DISK_SPACE_EVERY_SAMPLES === 0) this.#diskSpace = diskSpace(this.#diskPath())
    const memoryText = this.#files.memory.read() ?? ''
    const memory = parseMemory(memoryText)
    const loadAverages = parseLoadAverages(this.#files.loadAverage.read() ?? '')
    const isDetailed = this.#cgroup === null && this.#samples % DETAIL_EVERY_SAMPLES === 2
    const detail = isDetailed ? this.#detail(memoryText, loadAverages) : null
    // That of the machine would be told of each of its hosts.
    const pressure = this.#cgroup === null ? this.#pressure() : null
    return {
      ...this.#rates,
      memoryBytesUsed: (this.#cgroup === null ? memory?.usedBytes : this.#cgroup.memoryBytesUsed()) ?? 0,
      memoryBytesTotal: Math.min(memory?.totalBytes ?? 0, this.#cgroup?.memoryBytesLimit() ?? Number.POSITIVE_INFINITY),
      loadAverage1m: loadAverages[0],
      ...(pressure === null ? {} : { pressure }),
      ...this.#diskSpace,
      ...(detail === null ? {} : { detail }),
    }
  }

  /** Of a host that shares its kernel with others /proc tells of the machine, so it has none. Modes are over the time since the detail before. */
  #detail(memoryText: string, [, loadAverage5m, loadAverage15m]: [number, number, number]): HostDetail | null {
    const now = this.#before?.cpu ?? null
    const before = this.#detailCpuBefore
    this.#detailCpuBefore = now
    if (now === null) return null
    const total = now.total - (before?.total ?? 0)
    const cores = (mode: 'user' | 'system' | 'iowait' | 'steal') =>
      total <= 0 ? 0 : (Math.max(0, now[mode] - (before?.[mode] ?? 0)) / total) * now.cores
    const swap = parseSwap(memoryText)
    return {
      cpuCoresUser: cores('user'),
      cpuCoresSystem: cores('system'),
      cpuCoresIowait: cores('iowait'),
      cpuCoresSteal: cores('steal'),
      loadAverage5m,
      loadAverage15m,
      swapBytesUsed: swap.usedBytes,
      swapBytesTotal: swap.totalBytes,
      uptimeSeconds: Number.parseFloat(this.#files.uptime.read() ?? '') || 0,
    }
  }

  /** Null of a host that shares its kernel with others: /proc tells of the machine. */
  devices(): Omit<Devices, 'kind'> | null {
    if (this.#cgroup !== null) return null
    return {
      disks: diskDevices(this.#files.disks.read() ?? '').slice(0, DEVICES_MAX),
      networks: networkDevices(this.#files.network.read() ?? '').slice(0, DEVICES_MAX),
    }
  }

  close(): void {
    for (const file of Object.values(this.#files)) file.close()
    this.#cgroup?.close()
  }

  #measureRates(atMs: number): void {
    const before = this.#before
    if (before !== null && atMs - before.atMs < INTERVAL_MS_MIN) return
    const now: Counters = {
      atMs,
      cpu: parseCpuTicks(this.#files.stat.read() ?? ''),
      cgroupMs: this.#cgroup?.cpuUsedMs() ?? null,
      disk: parseDisks(this.#files.disks.read() ?? ''),
      network: parseHostNetwork(this.#files.network.read() ?? ''),
    }
    this.#before = now
    if (before !== null) this.#rates = ratesBetween(before, now, this.#cgroup !== null)
  }

  #pressure(): Pressure | null {
    const cpu = this.#files.cpuPressure.read()
    const memory = this.#files.memoryPressure.read()
    const io = this.#files.ioPressure.read()
    if (cpu === null || memory === null || io === null) return null
    const memoryShares = parsePressure(memory)
    const ioShares = parsePressure(io)
    return {
      cpuSome: parsePressure(cpu).some,
      memorySome: memoryShares.some,
      memoryFull: memoryShares.full,
      ioSome: ioShares.some,
      ioFull: ioShares.full,
    }
  }
}

/** Counters that went back (an interface or a disk was taken out) give 0 rather than a negative rate. */
function ratesBetween(before: Counters, now: Counters, isCgroup: boolean): typeof NO_RATES {
  const perSecond = (from: number, to: number) => (Math.max(0, to - from) * 1000) / (now.atMs - before.atMs)
  return {
    cpuCoresUsed: isCgroup ? cgroupCoresUsed(before, now) : coresUsed(before.cpu, now.cpu),
    diskReadBytesPerSecond: perSecond(before.disk.readBytes, now.disk.readBytes),
    diskWriteBytesPerSecond: perSecond(before.disk.writtenBytes, now.disk.writtenBytes),
    networkReceiveBytesPerSecond: perSecond(before.network.receivedBytes, now.network.receivedBytes),
    networkSendBytesPerSecond: perSecond(before.network.sentBytes, now.network.sentBytes),
  }
}

/** Used ticks as a share of all ticks rather than of our clock: a sample that came late does not look busier. */
function coresUsed(before: CpuTicks | null, now: CpuTicks | null): number {
  if (before === null || now === null) return 0
  const total = now.total - before.total
  if (total <= 0) return 0
  return Math.min(1, Math.max(0, (now.used - before.used) / total)) * now.cores
}

function cgroupCoresUsed(before: Counters, now: Counters): number {
  if (before.cgroupMs === null || now.cgroupMs === null) return 0
  return Math.max(0, now.cgroupMs - before.cgroupMs) / (now.atMs - before.atMs)
}

function diskSpace(path: string): { diskBytesUsed: number; diskBytesTotal: number } {
  try {
    const { blocks, bfree, bsize } = statfsSync(path)
    return { diskBytesUsed: (blocks - bfree) * bsize, diskBytesTotal: blocks * bsize }
  } catch {
    return path === '/' ? { diskBytesUsed: 0, diskBytesTotal: 0 } : diskSpace('/')
  }
}
