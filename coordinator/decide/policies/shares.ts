/** Shares of a node's room that policies have in common. */
import type { Figures, Need } from './policy.ts'

/** By how much the assumed needs would exceed the room, as a share of it; 0: they would not. */
export function overflowOf(
  { cpuShare, memoryShare, sharePerCore, sharePerByte }: Figures,
  index: number,
  need: Need,
): number {
  const cpu = cpuShare.low[index]! + need.cpuCores * sharePerCore.low[index]! - 1
  const memory = memoryShare.low[index]! + need.memoryBytes * sharePerByte.low[index]! - 1
  const over = Math.max(cpu, memory)
  return over > ROUNDING ? over : 0
}

/** Sums of fractions such as 0.1 are inexact. */
const ROUNDING = 1e-9
