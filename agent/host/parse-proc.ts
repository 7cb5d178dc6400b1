/** What the texts of /proc and of cgroup files say. Pure; texts as the kernel writes them. */
import type { DiskDevice, NetworkDevice } from '../../shared/wire/up.ts'

export type CpuTicks = {
  used: number
  total: number
  cores: number
  user: number
  system: number
  iowait: number
  steal: number
}

/**
 * /proc/stat. Time stolen by the hypervisor counts as used: nobody here can have it. Guest time is part of user time already.
 */
export function parseCpuTicks(text: string): CpuTicks | null {
  const end = text.indexOf('\n')
  const fields = text.slice(0, end).split(/ +/).slice(1, 9).map(Number)
  if (!text.startsWith('cpu ') || fields.length < 4 || fields.some(Number.isNaN)) return null
  const total = fields.reduce((sum, ticks) => sum + ticks, 0)
  const idle = fields[3]! + (fields[4] ?? 0)
  let cores = 0
  for (let at = end + 1; text.startsWith('cpu', at); at = text.indexOf('\n', at) + 1) cores++
  const [user, nice, system, , iowait = 0, interrupts = 0, softInterrupts = 0, steal = 0] = fields as [
    number,
    number,
    number,
  ]
  const modes = { user: user + nice, system: system + interrupts + softInterrupts, iowait, steal }
  return { used: total - idle, total, cores, ...modes }
}

/** /proc/meminfo, in bytes. */
export function parseMemory(text: string): { usedBytes: number; totalBytes: number } | null {
  const total = numberAfter(text, 'MemTotal:')
  if (total === null) return null
  // Kernels before 3.14 do not say what is available.
  const available =
    numberAfter(text, 'MemAvailable:') ??
    (numberAfter(text, 'MemFree:') ?? 0) +
      (numberAfter(text, '\nBuffers:') ?? 0) +
      (numberAfter(text, '\nCached:') ?? 0)
  return { usedBytes: Math.max(0, total - available) * 1024, totalBytes: total * 1024 }
}

/** /proc/meminfo, in bytes; 0 where there is no swap. */
export function parseSwap(text: string): { usedBytes: number; totalBytes: number } {
  const total = numberAfter(text, 'SwapTotal:') ?? 0
  return { usedBytes: Math.max(0, total - (numberAfter(text, 'SwapFree:') ?? 0)) * 1024, totalBytes: total * 1024 }
}

/** /proc/loadavg: of 1, 5 and 15 minutes. */
export function parseLoadAverages(text: string): [number, number, number] {
  const [one = 0, five = 0, fifteen = 0] = text.split(' ').map((part) => Number.parseFloat(part) || 0)
  return [one, five, fifteen]
}

/** One file of /proc/pressure: share of the last 10 s, 0 to 100. */
export function parsePressure(text: string): { some: number; full: number } {
  const average = (line: string) => {
    const at = text.indexOf(line)
    return at < 0 ? 0 : (numberAfter(text.slice(at), 'avg10=') ?? 0)
  }
  return { some: average('some '), full: average('full ') }
}

export type Transfer = { receivedBytes: number; sentBytes: number }

/** A container's own /proc/PID/net/dev, or the host's: bytes through all interfaces for which `counts` holds. */
export function parseNetwork(text: string, counts: (name: string) => boolean = isNotLoopback): Transfer {
  const sum = { receivedBytes: 0, sentBytes: 0 }
  for (const { receivedBytes, sentBytes } of networkDevices(text, counts)) {
    sum.receivedBytes += receivedBytes
    sum.sentBytes += sentBytes
  }
  return sum
}

/** The host's /proc/net/dev. */
export function parseHostNetwork(text: string): Transfer {
  return parseNetwork(text, outwardInterfaces(text))
}

/** The same, each by itself. */
export function networkDevices(text: string, counts = outwardInterfaces(text)): NetworkDevice[] {
  const devices: NetworkDevice[] = []
  for (const line of text.split('\n')) {
    const colon = line.indexOf(':')
    const device = line.slice(0, Math.max(0, colon)).trim()
    if (!counts(device)) continue
    const fields = line
      .slice(colon + 1)
      .trim()
      .split(/ +/)
    devices.push({ device, receivedBytes: Number(fields[0]) || 0, sentBytes: Number(fields[8]) || 0 })
  }
  return devices
}

/**
 * What passes through a bridge, a bond or a container's end of a pair passes through a card too and would count twice; where
 * nothing else is there (a host that is itself a container) those are all there is.
 */
function outwardInterfaces(text: string): (name: string) => boolean {
  const isOutward = (name: string) => isNotLoopback(name) && !INNER_INTERFACE.test(name)
  const names = text.split('\n').map((line) => line.slice(0, Math.max(0, line.indexOf(':'))).trim())
  return names.some(isOutward) ? isOutward : isNotLoopback
}

const INNER_INTERFACE = /^(veth|docker|br-|virbr|cni|cali|flannel|bond|team|dummy|ifb|tunl|sit)|\./

function isNotLoopback(name: string): boolean {
  return name !== 'lo' && name !== ''
}

export type DiskTransfer = { readBytes: number; writtenBytes: number }

/** /proc/diskstats: whole disks only, since a partition's and a logical volume's transfers are its disk's as well. */
export function parseDisks(text: string): DiskTransfer {
  let readBytes = 0
  let writtenBytes = 0
  for (const disk of diskDevices(text)) {
    readBytes += disk.readBytes
    writtenBytes += disk.writtenBytes
  }
  return { readBytes, writtenBytes }
}

/** The same, each by itself. */
export function diskDevices(text: string): DiskDevice[] {
  const disks = new Map<string, DiskDevice>()
  for (const line of text.split('\n')) {
    const fields = line.trim().split(/ +/)
    const device = fields[2]
    if (device === undefined || fields.length < 10 || LAYERED_DISK.test(device)) continue
    const [read, written] = [Number(fields[5]) || 0, Number(fields[9]) || 0]
    disks.set(device, { device, readBytes: read * SECTOR_BYTES, writtenBytes: written * SECTOR_BYTES })
  }
  return [...disks.values()].filter(({ device }) => !disks.has(diskOfPartition(device)))
}

/** The unit of /proc/diskstats, whatever the disk's own. */
const SECTOR_BYTES = 512
const LAYERED_DISK = /^(loop|ram|zram|dm-|md|sr|fd|drbd|bcache)\d/

/** `sda1` → `sda`, `nvme0n1p2` → `nvme0n1`; '' for a name that is no partition's. */
function diskOfPartition(name: string): string {
  return /^(.*\d)p\d+$/.exec(name)?.[1] ?? /^(.*\D)\d+$/.exec(name)?.[1] ?? ''
}

/** The first number behind the word, e.g. `numberAfter('usage_usec 17\n', 'usage_usec ')` → 17. Null when the word is not there. */
export function numberAfter(text: string, word: string): number | null {
  const at = text.indexOf(word)
  if (at < 0) return null
  const number = Number.parseFloat(text.slice(at + word.length, at + word.length + 32))
  return Number.isNaN(number) ? null : number
}
