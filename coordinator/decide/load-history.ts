/**
 * The recent peak of a node's load, from its heartbeats. A peak rather than the last sample: what a host needs now and
 * then it will need again, and a sample a second old says little. Up fast, down slowly: a level that lasted for nine
 * seconds of late counts as the peak; it is forgotten when it has not been reached for about nine minutes. A load that
 * comes and goes every few minutes therefore looks steady, and nothing is moved back and forth after it.
 *
 * Three histograms of forty buckets, half a kilobyte a node.
 */
import type { Instant } from '../../shared/clock.ts'
import type { HostLoad } from '../../shared/load.ts'
import { addSample, copyHistogram, type DecayedHistogram, newHistogram, quantileBucket } from './decayed-histogram.ts'

export type LoadHistory = {
  cpu: DecayedHistogram
  memory: DecayedHistogram
  pressure: DecayedHistogram
  /** As of the last sample; null before the first. */
  peak: LoadPeak | null
}

/** Shares from 0 to 1: of the host's cores, of its memory, of the time in which something waited for either or for disks. */
export type LoadPeak = { cpu: number; memory: number; pressure: number }

export function newLoadHistory(): LoadHistory {
  const histogram = () => newHistogram(BUCKETS, HALF_LIFE_MS)
  return { cpu: histogram(), memory: histogram(), pressure: histogram(), peak: null }
}

export function copyLoadHistory({ cpu, memory, pressure, peak }: LoadHistory): LoadHistory {
  return { cpu: copyHistogram(cpu), memory: copyHistogram(memory), pressure: copyHistogram(pressure), peak }
}

/** Changes the history in place. `cpuCores`: what the host has; 0 where that is not known. */
export function addLoad(history: LoadHistory, load: HostLoad, cpuCores: number, at: Instant): void {
  const { pressure } = load
  const waiting = pressure ? Math.max(pressure.cpuSome, pressure.memorySome, pressure.ioSome) / 100 : 0
  history.peak = {
    cpu: add(history.cpu, share(load.cpuCoresUsed, cpuCores), at),
    memory: add(history.memory, share(load.memoryBytesUsed, load.memoryBytesTotal), at),
    pressure: add(history.pressure, waiting, at),
  }
}

const HALF_LIFE_MS = 120_000
const PEAK_SHARE = 0.95
const BUCKETS = 40

/** The peak that results: the upper end of its bucket; nothing at all is 0. */
function add(histogram: DecayedHistogram, value: number, at: Instant): number {
  addSample(histogram, Math.ceil(value * (BUCKETS - 1)), at)
  return (quantileBucket(histogram, PEAK_SHARE) ?? 0) / (BUCKETS - 1)
}

function share(part: number, whole: number): number {
  return whole > 0 ? part / whole : 0
}
