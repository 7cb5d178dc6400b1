/** What policies have in common: a node once the task is there. */
import type { Figures, Need } from './policy.ts'

/** The greater share of CPU and memory, of the room that is assumed to be needed. */
export function scarcestAfter(low: Figures, node: number, { cpuCores, memoryBytes }: Need): number {
  const cpuMore = cpuCores * low.sharePerCore[node]!
  const memoryMore = memoryBytes * low.sharePerByte[node]!
  const share = Math.max(low.cpuShare[node]! + cpuMore, low.memoryShare[node]! + memoryMore)
  // Says nothing new of a node, but of a block: its least share of CPU and its least of memory may be of two nodes.
  return Math.max(share, low.scarcestShare[node]! + Math.min(cpuMore, memoryMore))
}

/** The same of the measured load. */
export function busiestAfter(low: Figures, node: number, { cpuCores, memoryBytes }: Need): number {
  const cpuMore = cpuCores * low.loadPerCore[node]!
  const memoryMore = memoryBytes * low.loadPerByte[node]!
  const load = Math.max(low.cpuLoad[node]! + cpuMore, low.memoryLoad[node]! + memoryMore)
  return Math.max(load, low.busiestLoad[node]! + Math.min(cpuMore, memoryMore))
}

/** By how much the assumed needs would exceed the room, as a share of it; 0: they would not. */
export function overflowAfter(low: Figures, node: number, { cpuCores, memoryBytes }: Need): number {
  const cpu = low.cpuShare[node]! + cpuCores * low.sharePerCore[node]!
  const memory = low.memoryShare[node]! + memoryBytes * low.sharePerByte[node]!
  const over = Math.max(cpu, memory) - 1
  return over > ROUNDING ? over : 0
}

/** Sums of fractions such as 0.1 are inexact. */
const ROUNDING = 1e-9
