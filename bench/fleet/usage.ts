/** What a process takes of the machine, read from /proc. */
import { readFileSync } from 'node:fs'

/** Linux counts in ticks of 10 ms wherever Node runs. */
const TICKS_PER_SECOND = 100
const KB = 1024

/** User and system time since the process began, all threads. */
export function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
}

export function residentBytes(pid: number): number {
  return memoryBytes(pid, 'VmRSS')
}

/** The most that it ever had. */
export function peakResidentBytes(pid: number): number {
  return memoryBytes(pid, 'VmHWM')
}

function memoryBytes(pid: number, name: string): number {
  const line = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
  return Number(line?.[1] ?? 0) * KB
}
