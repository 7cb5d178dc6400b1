/**
 * What tasks of a service were measured to use, for services that reserve nothing: the level that a task stays below in
 * nearly all samples of the last days. Two histograms whose buckets grow by 15 % each, so that a millicore and a hundred
 * cores are told apart equally well; less than a kilobyte a service.
 */
import type { Instant } from '../../shared/clock.ts'
import type { ContainerLoad } from '../../shared/load.ts'
import { addSample, copyHistogram, type DecayedHistogram, newHistogram, quantileBucket } from './decayed-histogram.ts'
import type { Need } from './policies/policy.ts'

export type ServiceUsage = { cpu: DecayedHistogram; memory: DecayedHistogram }

export function newServiceUsage(): ServiceUsage {
  return { cpu: newHistogram(BUCKETS, HALF_LIFE_MS), memory: newHistogram(BUCKETS, HALF_LIFE_MS) }
}

export function copyServiceUsage({ cpu, memory }: ServiceUsage): ServiceUsage {
  return { cpu: copyHistogram(cpu), memory: copyHistogram(memory) }
}

/** Changes the usage in place. */
export function addUsage(usage: ServiceUsage, load: ContainerLoad, at: Instant): void {
  addSample(usage.cpu, bucketOf(load.cpuCoresUsed / CORES_FIRST), at)
  addSample(usage.memory, bucketOf(load.memoryBytesUsed / BYTES_FIRST), at)
}

/** Null before the first sample. */
export function measuredNeed({ cpu, memory }: ServiceUsage): Need | null {
  const cpuBucket = quantileBucket(cpu, CPU_SHARE)
  const memoryBucket = quantileBucket(memory, MEMORY_SHARE)
  if (cpuBucket === null || memoryBucket === null) return null
  return { cpuCores: CORES_FIRST * GROWTH ** cpuBucket, memoryBytes: Math.round(BYTES_FIRST * GROWTH ** memoryBucket) }
}

/** Too little CPU makes a task slow, too little memory kills it or its neighbour: memory looks further up. */
const CPU_SHARE = 0.9
const MEMORY_SHARE = 0.98
/** A day: what a service does at night counts as well. */
const HALF_LIFE_MS = 24 * 3_600_000

const GROWTH = 1.15
/** Up to a thousand cores, and a tebibyte. */
const BUCKETS = 100
const CORES_FIRST = 0.001
const BYTES_FIRST = 1024 * 1024

/** The bucket whose upper end is the first not below the value. */
function bucketOf(value: number): number {
  return value <= 1 ? 0 : Math.ceil(Math.log(value) / LOG_GROWTH)
}

const LOG_GROWTH = Math.log(GROWTH)
