import {
  CPU_SHARE,
  MEMORY_SHARE,
  type Need,
  type Policy,
  ROW,
  type Rows,
  SHARE_PER_BYTE,
  SHARE_PER_CORE,
} from './policy.ts'
import { overflowAfter } from './shares.ts'

/**
 * Best fit over all resources at once: the node that the task leaves least of, by the sum of squares of what is left (the
 * L2 norm of Panigrahy, Talwar, Uyeda and Wieder, "Heuristics for Vector Bin Packing", 2011), so that nodes are filled
 * evenly in CPU and memory. An empty node is begun only when no other takes it; one that would be overfilled by what its
 * tasks are assumed to need comes last.
 */
export const binpack: Policy = {
  name: 'binpack',
  reads: [CPU_SHARE, MEMORY_SHARE, SHARE_PER_CORE, SHARE_PER_BYTE],
  scores(nodes, list, from, to, need, into) {
    for (let at = from; at < to; at++) into[at - from] = score(nodes, list[at]! * ROW, need)
  },
  parts({ low, high }, node, { cpuCores, memoryBytes }) {
    const row = node * ROW
    return {
      cpuShareLeft: leftOf(high[row + CPU_SHARE]! + cpuCores * high[row + SHARE_PER_CORE]!),
      memoryShareLeft: leftOf(high[row + MEMORY_SHARE]! + memoryBytes * high[row + SHARE_PER_BYTE]!),
      overfilled: overflowAfter(low, row, { cpuCores, memoryBytes }),
    }
  },
}

/** No task is assumed to need nothing, so a share of 0 means an empty node. Greater than any sum of squares of shares, and each greater than all before it. */
const EMPTY = 10
const OVERFILLED = 100

function score({ low, high }: Rows, row: number, need: Need): number {
  const cpu = leftOf(high[row + CPU_SHARE]! + need.cpuCores * high[row + SHARE_PER_CORE]!)
  const memory = leftOf(high[row + MEMORY_SHARE]! + need.memoryBytes * high[row + SHARE_PER_BYTE]!)
  const over = overflowAfter(low, row, need)
  return cpu * cpu + memory * memory + (high[row + CPU_SHARE]! > 0 ? 0 : EMPTY) + (over > 0 ? OVERFILLED + over : 0)
}

function leftOf(share: number): number {
  return Math.max(0, 1 - share)
}
