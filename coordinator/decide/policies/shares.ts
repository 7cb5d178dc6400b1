/**
 * What policies have in common: shares of a node once the task is there. They fill a row of scores from columns taken out
 * of the figures beforehand, since that is done for many nodes a microsecond.
 */
import type { Figures, Need } from './policy.ts'

/** The greater share of CPU and memory, of the room that is assumed to be needed. */
export function fillScarcestAfter(
  { cpuShare, memoryShare, scarcestShare, sharePerCore, sharePerByte }: Figures,
  list: Int32Array,
  from: number,
  to: number,
  need: Need,
  into: Float64Array,
): void {
  fillGreaterAfter(
    { cpu: cpuShare.low, memory: memoryShare.low, greater: scarcestShare.low },
    { core: sharePerCore.low, byte: sharePerByte.low },
    { list, from, to, need, into },
  )
}

/** The same of the measured load. */
export function fillBusiestAfter(
  { cpuLoad, memoryLoad, busiestLoad, loadPerCore, loadPerByte }: Figures,
  list: Int32Array,
  from: number,
  to: number,
  need: Need,
  into: Float64Array,
): void {
  fillGreaterAfter(
    { cpu: cpuLoad.low, memory: memoryLoad.low, greater: busiestLoad.low },
    { core: loadPerCore.low, byte: loadPerByte.low },
    { list, from, to, need, into },
  )
}

function fillGreaterAfter(
  { cpu, memory, greater }: { cpu: Float64Array; memory: Float64Array; greater: Float64Array },
  per: { core: Float64Array; byte: Float64Array },
  row: { list: Int32Array; from: number; to: number; need: Need; into: Float64Array },
): void {
  const { list, from, to, into } = row
  const { cpuCores, memoryBytes } = row.need
  for (let at = from; at < to; at++) {
    const index = list[at]!
    const cpuMore = cpuCores * per.core[index]!
    const memoryMore = memoryBytes * per.byte[index]!
    const share = Math.max(cpu[index]! + cpuMore, memory[index]! + memoryMore)
    // Says nothing new of a node, but of a block: its least share of CPU and its least of memory may be of two nodes.
    into[at - from] = Math.max(share, greater[index]! + Math.min(cpuMore, memoryMore))
  }
}

/** By how much the assumed needs would exceed the room, as a share of it; 0: they would not. */
export function overflowOf(
  { cpuShare, memoryShare, sharePerCore, sharePerByte }: Figures,
  index: number,
  need: Need,
): number {
  const cpu = cpuShare.low[index]! + need.cpuCores * sharePerCore.low[index]!
  const memory = memoryShare.low[index]! + need.memoryBytes * sharePerByte.low[index]!
  const over = Math.max(cpu, memory) - 1
  return over > ROUNDING ? over : 0
}

/** Sums of fractions such as 0.1 are inexact. */
const ROUNDING = 1e-9
