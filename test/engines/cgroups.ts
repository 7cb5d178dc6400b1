/** Cgroups of hosts, in v1 (a tree for each controller) or v2 (one tree). They go with the slot. */
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const ROOT = '/sys/fs/cgroup'
const CONTROLLERS = ['cpu', 'cpuacct', 'memory']
const PERIOD_US = 100_000

const isUnified = () => existsSync(join(ROOT, 'cgroup.controllers'))

/** `name` may have parts: `bt0-1/outside`. */
export function makeCgroup(name: string): void {
  for (const folder of foldersOf(name)) mkdirSync(folder, { recursive: true })
  if (!isUnified()) return
  // What a child may be held to, each of its parents must have passed down.
  const parts = name.split('/')
  for (let depth = 0; depth < parts.length; depth++) {
    const control = join(ROOT, ...parts.slice(0, depth), 'cgroup.subtree_control')
    if (!readFileSync(control, 'utf8').includes('memory')) writeFileSync(control, '+cpu +memory')
  }
}

/** Once nothing runs in it any more. */
export function removeCgroup(name: string): void {
  for (const folder of foldersOf(name)) rmdirSync(folder)
}

/** All that runs in it may use so much together. */
export function limitCpu(name: string, cores: number): void {
  const quota = Math.round(cores * PERIOD_US)
  if (isUnified()) {
    writeFileSync(join(ROOT, name, 'cpu.max'), `${quota} ${PERIOD_US}`)
    return
  }
  writeFileSync(join(ROOT, 'cpu', name, 'cpu.cfs_period_us'), String(PERIOD_US))
  writeFileSync(join(ROOT, 'cpu', name, 'cpu.cfs_quota_us'), String(quota))
}

/** A shell command that puts the shell itself, and what it becomes, into the cgroup. */
export function enterCgroup(name: string): string {
  return foldersOf(name)
    .map((folder) => `echo $$ > '${join(folder, 'cgroup.procs')}'`)
    .join(' && ')
}

function foldersOf(name: string): string[] {
  return isUnified() ? [join(ROOT, name)] : CONTROLLERS.map((controller) => join(ROOT, controller, name))
}
