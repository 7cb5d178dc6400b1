/** The load of one container between one sample and the next, and its last minute in steps of a second. */
import { readlinkSync } from 'node:fs'
import { join } from 'node:path'
import type { ContainerLoad } from '../../shared/load.ts'
import type { ContainerHandle } from '../parts.ts'
import {
  type Cgroup,
  parseBlock,
  parseCpuUsageMs,
  parseInactiveFileBytes,
  parseOomKills,
  parseThrottling,
} from './cgroup.ts'
import { KeptFile, readOnce } from './kept-file.ts'
import { parseNetwork, type Transfer } from './parse-proc.ts'
import { SampleRing } from './sample-ring.ts'

/** CPU and memory are read every time; what moves slowly or costs more, only every so many samples. */
export const SLOW_EVERY_SAMPLES = 5

/** Samples closer than this say more about the clock than about the load: the figures before are given again. */
const INTERVAL_MS_MIN = 50

export class ContainerMeter {
  readonly #cgroup: Cgroup
  readonly #cpu: KeptFile
  readonly #memory: KeptFile
  readonly #block: KeptFile
  readonly #memoryEvents: KeptFile
  readonly #networkPath: string | null
  #cpuBefore: { usedMs: number; atMs: number } | null = null
  #throttlingBefore: { periods: number; throttled: number } | null = null
  #blockBefore: { readBytes: number; writtenBytes: number; atMs: number } | null = null
  #networkBefore: (Transfer & { atMs: number }) | null = null
  #inactiveFileBytes = 0
  #slow: Partial<ContainerLoad> = {}
  #last: ContainerLoad | null = null
  readonly ring = new SampleRing()

  constructor(cgroup: Cgroup, pid: number, procRoot: string) {
    this.#cgroup = cgroup
    this.#cpu = new KeptFile(cgroup.cpuUsagePath)
    this.#memory = new KeptFile(cgroup.memoryUsagePath)
    this.#block = new KeptFile(cgroup.blockPath)
    this.#memoryEvents = new KeptFile(cgroup.memoryEventsPath)
    this.#networkPath = sharesHostNetwork(pid, procRoot) ? null : join(procRoot, String(pid), 'net/dev')
  }

  /** For the ring alone: two files, once a second, however seldom the rest is looked at. */
  look(atMs: number): void {
    if (this.ring.wants(atMs)) this.#read(atMs)
  }

  /** Null until there are two readings to compare, and when its files cannot be read. */
  sample(handle: ContainerHandle, atMs: number, slowToo: boolean): ContainerLoad | null {
    if (this.#cpuBefore !== null && atMs - this.#cpuBefore.atMs < INTERVAL_MS_MIN) return this.#last
    const isFirst = this.#cpuBefore === null
    if (slowToo || isFirst) this.#readSlow(atMs)
    const read = this.#read(atMs)
    if (read === null) return null
    const cpuCoresUsed = this.#coresUsed(read.usedMs, atMs)
    if (cpuCoresUsed === null) return null
    this.#last = {
      task: handle.task,
      cpuCoresUsed,
      memoryBytesUsed: read.memoryBytesUsed,
      ...(handle.memoryBytesLimit === null ? {} : { memoryBytesLimit: handle.memoryBytesLimit }),
      ...this.#slow,
    }
    return this.#last
  }

  close(): void {
    for (const file of [this.#cpu, this.#memory, this.#block, this.#memoryEvents]) file.close()
  }

  /** Null when one of the two is not to be read: it has ended. */
  #read(atMs: number): { usedMs: number; memoryBytesUsed: number } | null {
    const text = this.#cpu.read()
    const usedMs = text === null ? null : parseCpuUsageMs(this.#cgroup.version, text)
    const usageBytes = Number.parseInt(this.#memory.read() ?? '', 10)
    if (usedMs === null || Number.isNaN(usageBytes)) return null
    const memoryBytesUsed = Math.max(0, usageBytes - this.#inactiveFileBytes)
    if (this.ring.wants(atMs)) this.ring.add(atMs, usedMs, memoryBytesUsed)
    return { usedMs, memoryBytesUsed }
  }

  #coresUsed(usedMs: number, atMs: number): number | null {
    const before = this.#cpuBefore
    this.#cpuBefore = { usedMs, atMs }
    return before === null ? null : Math.max(0, usedMs - before.usedMs) / (atMs - before.atMs)
  }

  #readSlow(atMs: number): void {
    this.#inactiveFileBytes = parseInactiveFileBytes(this.#cgroup.version, readOnce(this.#cgroup.memoryStatPath) ?? '')
    const processes = Number.parseInt(readOnce(this.#cgroup.processesPath) ?? '', 10)
    this.#slow = {
      ...(Number.isNaN(processes) ? {} : { processes }),
      ...this.#throttledShare(),
      ...this.#networkRates(atMs),
      ...this.#blockRates(atMs),
      ...this.#oomKills(),
    }
  }

  #oomKills(): Partial<ContainerLoad> {
    const oomKills = parseOomKills(this.#memoryEvents.read() ?? '')
    return oomKills === null ? {} : { oomKills }
  }

  #blockRates(atMs: number): Partial<ContainerLoad> {
    const text = this.#block.read()
    if (text === null) return {}
    const now = { ...parseBlock(this.#cgroup.version, text), atMs }
    const before = this.#blockBefore
    this.#blockBefore = now
    if (before === null) return {}
    const seconds = (atMs - before.atMs) / 1000
    return {
      blockReadBytesPerSecond: Math.max(0, now.readBytes - before.readBytes) / seconds,
      blockWriteBytesPerSecond: Math.max(0, now.writtenBytes - before.writtenBytes) / seconds,
    }
  }

  #throttledShare(): Partial<ContainerLoad> {
    const now = parseThrottling(readOnce(this.#cgroup.cpuStatPath) ?? '')
    const before = this.#throttlingBefore
    this.#throttlingBefore = now
    if (now === null || before === null || now.periods <= before.periods) return {}
    const share = (now.throttled - before.throttled) / (now.periods - before.periods)
    return { cpuThrottledShare: Math.min(1, Math.max(0, share)) }
  }

  /** Not through a kept descriptor: one of these holds the whole network namespace of a container that has ended. */
  #networkRates(atMs: number): Partial<ContainerLoad> {
    const text = this.#networkPath === null ? null : readOnce(this.#networkPath)
    if (text === null) return {}
    const now = { ...parseNetwork(text), atMs }
    const before = this.#networkBefore
    this.#networkBefore = now
    if (before === null) return {}
    const seconds = (atMs - before.atMs) / 1000
    return {
      networkReceiveBytesPerSecond: Math.max(0, now.receivedBytes - before.receivedBytes) / seconds,
      networkSendBytesPerSecond: Math.max(0, now.sentBytes - before.sentBytes) / seconds,
    }
  }
}

/** With `network_mode: host` the figures would be the host's own, told once more for each such container. */
function sharesHostNetwork(pid: number, procRoot: string): boolean {
  try {
    return readlinkSync(join(procRoot, String(pid), 'ns/net')) === readlinkSync(join(procRoot, 'self/ns/net'))
  } catch {
    return false
  }
}
