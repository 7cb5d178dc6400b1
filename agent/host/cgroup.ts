/** Where the kernel keeps the account of a container: cgroup v1 (one tree per controller) or v2 (one tree). */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { readOnce } from './kept-file.ts'
import { numberAfter } from './parse-proc.ts'

export const CGROUP_ROOT = '/sys/fs/cgroup'

export type Cgroup = {
  version: 1 | 2
  cpuUsagePath: string
  memoryUsagePath: string
  memoryStatPath: string
  cpuStatPath: string
  processesPath: string
  blockPath: string
  memoryEventsPath: string
}

/** Looks up the cgroup of a process; null when the process is gone or its account cannot be found. */
export function findCgroup(
  pid: number,
  { procRoot, cgroupRoot }: { procRoot: string; cgroupRoot: string },
): Cgroup | null {
  const text = readOnce(join(procRoot, String(pid), 'cgroup'))
  if (text === null) return null
  const paths = cgroupPaths(text)
  const first = paths.find(({ controllers }) => controllers.includes('cpuacct'))
  return first === undefined ? unifiedCgroup(paths, cgroupRoot) : legacyCgroup(paths, cgroupRoot)
}

/** The cgroup of this path, as in /proc/PID/cgroup, in the tree that this machine has. It may not exist (yet). */
export function cgroupAt(path: string, cgroupRoot: string): Cgroup {
  if (existsSync(join(cgroupRoot, 'cgroup.controllers'))) return unifiedCgroup([{ controllers: [], path }], cgroupRoot)!
  // Where two are mounted together, each is found by its own name, too.
  const controllers = ['cpuacct', 'memory', 'cpu', 'pids']
  return legacyCgroup(
    controllers.map((controller) => ({ controllers: [controller], path })),
    cgroupRoot,
  )!
}

type CgroupPath = { controllers: string[]; path: string }

/** /proc/PID/cgroup: lines of `number:controllers:path`; without controllers it is the unified tree. */
export function cgroupPaths(text: string): CgroupPath[] {
  return text
    .split('\n')
    .map((line) => /^\d+:([^:]*):(.*)$/.exec(line))
    .filter((match) => match !== null)
    .map(([, controllers, path]) => ({ controllers: controllers === '' ? [] : controllers!.split(','), path: path! }))
}

function unifiedCgroup(paths: CgroupPath[], cgroupRoot: string): Cgroup | null {
  const unified = paths.find(({ controllers }) => controllers.length === 0)
  if (unified === undefined) return null
  const folder = join(cgroupRoot, unified.path)
  return {
    version: 2,
    cpuUsagePath: join(folder, 'cpu.stat'),
    memoryUsagePath: join(folder, 'memory.current'),
    memoryStatPath: join(folder, 'memory.stat'),
    cpuStatPath: join(folder, 'cpu.stat'),
    processesPath: join(folder, 'pids.current'),
    blockPath: join(folder, 'io.stat'),
    memoryEventsPath: join(folder, 'memory.events'),
  }
}

function legacyCgroup(paths: CgroupPath[], cgroupRoot: string): Cgroup | null {
  const folderOf = (controller: string) => {
    const found = paths.find(({ controllers }) => controllers.includes(controller))
    if (found === undefined) return null
    // Mounted under its own name, or together with its neighbours as `cpu,cpuacct`.
    const alone = join(cgroupRoot, controller, found.path)
    return existsSync(alone) ? alone : join(cgroupRoot, found.controllers.join(','), found.path)
  }
  const account = folderOf('cpuacct')
  const memory = folderOf('memory')
  if (account === null || memory === null) return null
  return {
    version: 1,
    cpuUsagePath: join(account, 'cpuacct.usage'),
    memoryUsagePath: join(memory, 'memory.usage_in_bytes'),
    memoryStatPath: join(memory, 'memory.stat'),
    cpuStatPath: join(folderOf('cpu') ?? account, 'cpu.stat'),
    processesPath: join(folderOf('pids') ?? account, 'pids.current'),
    blockPath: join(folderOf('blkio') ?? account, 'blkio.throttle.io_service_bytes'),
    memoryEventsPath: join(memory, 'memory.oom_control'),
  }
}

/** CPU time used since the container began, in milliseconds, from the text at `cpuUsagePath`. */
export function parseCpuUsageMs(version: Cgroup['version'], text: string): number | null {
  if (version === 2) {
    const microseconds = numberAfter(text, 'usage_usec ')
    return microseconds === null ? null : microseconds / 1000
  }
  const nanoseconds = Number.parseInt(text, 10)
  return Number.isNaN(nanoseconds) ? null : nanoseconds / 1e6
}

/** Page cache that the kernel would drop first, from memory.stat: it is no burden, and nobody counts it as used. */
export function parseInactiveFileBytes(version: Cgroup['version'], text: string): number {
  return numberAfter(text, version === 1 ? 'total_inactive_file ' : '\ninactive_file ') ?? 0
}

/** From cpu.stat: null where no CPU limit makes periods. */
export function parseThrottling(text: string): { periods: number; throttled: number } | null {
  const periods = numberAfter(text, 'nr_periods ')
  return periods === null || periods === 0 ? null : { periods, throttled: numberAfter(text, 'nr_throttled ') ?? 0 }
}

/** Bytes moved since the container began, over all block devices: io.stat, or in v1 blkio.throttle.io_service_bytes. */
export function parseBlock(version: Cgroup['version'], text: string): { readBytes: number; writtenBytes: number } {
  const [read, written] = version === 2 ? [/ rbytes=(\d+)/g, / wbytes=(\d+)/g] : [/ Read (\d+)/g, / Write (\d+)/g]
  const sum = (pattern: RegExp) => text.matchAll(pattern).reduce((total, match) => total + Number(match[1]), 0)
  return { readBytes: sum(read), writtenBytes: sum(written) }
}

/** Processes killed for lack of memory; null where the kernel does not count them (v1 before 4.13). */
export function parseOomKills(text: string): number | null {
  return numberAfter(text, 'oom_kill ')
}
