/** What policies have in common: a node once the task is there. `row`: where the node's row begins. */
import {
  BUSIEST_LOAD,
  CPU_LOAD,
  CPU_SHARE,
  LOAD_PER_BYTE,
  LOAD_PER_CORE,
  MEMORY_LOAD,
  MEMORY_SHARE,
  type Need,
  SCARCEST_SHARE,
  SHARE_PER_BYTE,
  SHARE_PER_CORE,
} from './policy.ts'

/** The greater share of CPU and memory, of the room that is assumed to be needed. */
export function scarcestAfter(low: Float64Array, row: number, { cpuCores, memoryBytes }: Need): number {
  const cpuMore = cpuCores * low[row + SHARE_PER_CORE]!
  const memoryMore = memoryBytes * low[row + SHARE_PER_BYTE]!
  const share = Math.max(low[row + CPU_SHARE]! + cpuMore, low[row + MEMORY_SHARE]! + memoryMore)
  // Says nothing new of a node, but of a block: its least share of CPU and its least of memory may be of two nodes.
  return Math.max(share, low[row + SCARCEST_SHARE]! + Math.min(cpuMore, memoryMore))
}

/** The same of the measured load. */
export function busiestAfter(low: Float64Array, row: number, { cpuCores, memoryBytes }: Need): number {
  const cpuMore = cpuCores * low[row + LOAD_PER_CORE]!
  const memoryMore = memoryBytes * low[row + LOAD_PER_BYTE]!
  const load = Math.max(low[row + CPU_LOAD]! + cpuMore, low[row + MEMORY_LOAD]! + memoryMore)
  return Math.max(load, low[row + BUSIEST_LOAD]! + Math.min(cpuMore, memoryMore))
}

/** By how much the assumed needs would exceed the room, as a share of it; 0: they would not. */
export function overflowAfter(low: Float64Array, row: number, { cpuCores, memoryBytes }: Need): number {
  const cpu = low[row + CPU_SHARE]! + cpuCores * low[row + SHARE_PER_CORE]!
  const memory = low[row + MEMORY_SHARE]! + memoryBytes * low[row + SHARE_PER_BYTE]!
  const over = Math.max(cpu, memory) - 1
  return over > ROUNDING ? over : 0
}

/** Sums of fractions such as 0.1 are inexact. */
const ROUNDING = 1e-9
