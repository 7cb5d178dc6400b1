/**
 * The account of a host that shares its kernel with others: a container, a guest of LXC or systemd-nspawn. /proc shows the whole
 * machine there, so that every such host would look as busy as the busiest of them. What happens in its cgroup is its own.
 */
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { type Cgroup, cgroupAt, parseCpuUsageMs, parseInactiveFileBytes } from './cgroup.ts'
import { KeptFile, readOnce } from './kept-file.ts'

/** What the cgroup was given of the machine; null where it may use all of it. */
export type CgroupLimits = { cpuCores: number | null; memoryBytes: number | null }

export class HostCgroup {
  readonly #cgroup: Cgroup
  readonly #cpu: KeptFile
  readonly #memory: KeptFile
  readonly #memoryStat: KeptFile
  readonly #memoryLimit: KeptFile

  /** `path`: as in /proc/PID/cgroup, e.g. `/lxc/web-1`. */
  constructor(path: string, cgroupRoot: string) {
    this.#cgroup = cgroupAt(path, cgroupRoot)
    this.#cpu = new KeptFile(this.#cgroup.cpuUsagePath)
    this.#memory = new KeptFile(this.#cgroup.memoryUsagePath)
    this.#memoryStat = new KeptFile(this.#cgroup.memoryStatPath)
    this.#memoryLimit = new KeptFile(memoryLimitPath(this.#cgroup))
  }

  /** CPU time used since the cgroup was made; null when it is not there. */
  cpuUsedMs(): number | null {
    const text = this.#cpu.read()
    return text === null ? null : parseCpuUsageMs(this.#cgroup.version, text)
  }

  /** Without the page cache that the kernel would drop first; null when the cgroup is not there. */
  memoryBytesUsed(): number | null {
    const usage = Number.parseInt(this.#memory.read() ?? '', 10)
    if (Number.isNaN(usage)) return null
    return Math.max(0, usage - parseInactiveFileBytes(this.#cgroup.version, this.#memoryStat.read() ?? ''))
  }

  /** Null: it may use all that the machine has. */
  memoryBytesLimit(): number | null {
    return bytesOf(this.#memoryLimit.read())
  }

  close(): void {
    for (const file of [this.#cpu, this.#memory, this.#memoryStat, this.#memoryLimit]) file.close()
  }
}

export function cgroupExists(path: string, cgroupRoot: string): boolean {
  return existsSync(cgroupAt(path, cgroupRoot).cpuUsagePath)
}

export function readCgroupLimits(path: string, cgroupRoot: string): CgroupLimits {
  const cgroup = cgroupAt(path, cgroupRoot)
  const cpuFile = (name: string) => readOnce(join(dirname(cgroup.cpuStatPath), name)) ?? ''
  const [quotaUs, periodUs] =
    cgroup.version === 2 ? cpuFile('cpu.max').split(' ') : [cpuFile('cpu.cfs_quota_us'), cpuFile('cpu.cfs_period_us')]
  return { cpuCores: coresOf(quotaUs, periodUs), memoryBytes: bytesOf(readOnce(memoryLimitPath(cgroup))) }
}

function memoryLimitPath({ version, memoryStatPath }: Cgroup): string {
  return join(dirname(memoryStatPath), version === 2 ? 'memory.max' : 'memory.limit_in_bytes')
}

/** `max` and -1 stand for no limit. */
function coresOf(quotaUs: string | undefined, periodUs: string | undefined): number | null {
  const cores = Number(quotaUs) / Number(periodUs)
  return cores > 0 && Number.isFinite(cores) ? cores : null
}

/** cgroup v1 writes no limit as the largest number of pages there is. */
function bytesOf(text: string | null): number | null {
  const bytes = Number.parseInt(text ?? '', 10)
  return Number.isNaN(bytes) || bytes >= 2 ** 60 ? null : bytes
}
