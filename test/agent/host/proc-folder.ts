/** A /proc and a cgroup tree made of plain files, for hosts that we are not on. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

export class ProcFolder {
  readonly folder = mkdtempSync(join(tmpdir(), 'berth-proc-'))
  readonly procRoot = join(this.folder, 'proc')
  readonly cgroupRoot = join(this.folder, 'cgroup')

  proc(files: Record<string, string>): void {
    for (const [name, text] of Object.entries(files)) write(join(this.procRoot, name), text)
  }

  cgroup(files: Record<string, string>): void {
    for (const [name, text] of Object.entries(files)) write(join(this.cgroupRoot, name), text)
  }

  networkNamespace(pid: number | 'self', name: string): void {
    const path = join(this.procRoot, `${pid}/ns/net`)
    mkdirSync(dirname(path), { recursive: true })
    symlinkSync(name, path)
  }

  removeCgroup(path: string): void {
    rmSync(join(this.cgroupRoot, path), { recursive: true })
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true })
  }
}

/** In place, so that a kept descriptor sees it, as with the kernel's own files. */
function write(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, text)
}

/** Ticks of each of two cores together; used is user time. */
export function procStat(used: number, idle: number): string {
  return `cpu  ${used} 0 0 ${idle} 0 0 0 0 0 0\ncpu0 1 0 0 1 0 0 0 0 0 0\ncpu1 1 0 0 1 0 0 0 0 0 0\nintr 12345 0 0\nctxt 99\n`
}

export function netDev(interfaces: Record<string, [received: number, sent: number]>): string {
  const head =
    'Inter-|   Receive                                                |  Transmit\n face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n'
  const line = ([name, [received, sent]]: [string, [number, number]]) =>
    `${name.padStart(6)}: ${received}      10    0    0    0     0          0         0    ${sent}      10    0    0    0     0       0          0\n`
  return head + Object.entries(interfaces).map(line).join('')
}

export function diskStats(disks: Record<string, [sectorsRead: number, sectorsWritten: number]>): string {
  const line = ([name, [read, written]]: [string, [number, number]]) =>
    ` 253       0 ${name} 100 0 ${read} 50 200 0 ${written} 70 0 80 120 0 0 0 0 5 2\n`
  return Object.entries(disks).map(line).join('')
}
