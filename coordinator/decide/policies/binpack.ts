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
 * Best fit over all resources at once: the node whose free room has most nearly the shape of the task (its CPU to its
 * memory, as shares of the node), so that neither is left without the other; of like ones the node that the task leaves least of, by
 * the sum of squares of what is left (the L2 norm of Panigrahy, Talwar, Uyeda and Wieder, "Heuristics for Vector Bin
 * Packing", 2011). An empty node is begun only when no other takes it; one that would be overfilled by what its
 * tasks are assumed to need comes last.
 */
export const binpack: Policy = {
  name: 'binpack',
  reads: [CPU_SHARE, MEMORY_SHARE, SHARE_PER_CORE, SHARE_PER_BYTE],
  scores(nodes, list, from, to, need, into) {
    for (let at = from; at < to; at++) into[at - from] = score(nodes, list[at]! * ROW, need)
  },
  // A task that runs is not moved for a better shape: only for fewer or fuller nodes.
  worth(nodes, list, from, to, need, into) {
    for (let at = from; at < to; at++) into[at - from] = leftAfter(nodes, list[at]! * ROW, need)
  },
  parts({ low, high }, node, { cpuCores, memoryBytes }) {
    const row = node * ROW
    return {
      shapeApart: misfit({ low, high }, row, { cpuCores, memoryBytes }),
      cpuShareLeft: leftOf(high[row + CPU_SHARE]! + cpuCores * high[row + SHARE_PER_CORE]!),
      memoryShareLeft: leftOf(high[row + MEMORY_SHARE]! + memoryBytes * high[row + SHARE_PER_BYTE]!),
      overfilled: overflowAfter(low, row, { cpuCores, memoryBytes }),
    }
  },
}

/** No task is assumed to need nothing, so a share of 0 means an empty node. Greater than all else, and each greater than all before it. */
const EMPTY = 10
const OVERFILLED = 100
/** What is left settles what is nearly alike in shape. */
const LEFT = 0.02

function score({ low, high }: Rows, row: number, need: Need): number {
  return (
    misfit({ low, high }, row, need) + squaresLeft({ low, high }, row, need) * LEFT + penalty({ low, high }, row, need)
  )
}

function leftAfter(rows: Rows, row: number, need: Need): number {
  return squaresLeft(rows, row, need) + penalty(rows, row, need)
}

function squaresLeft({ high }: Rows, row: number, need: Need): number {
  const cpu = leftOf(high[row + CPU_SHARE]! + need.cpuCores * high[row + SHARE_PER_CORE]!)
  const memory = leftOf(high[row + MEMORY_SHARE]! + need.memoryBytes * high[row + SHARE_PER_BYTE]!)
  return cpu * cpu + memory * memory
}

function penalty({ low, high }: Rows, row: number, need: Need): number {
  const over = overflowAfter(low, row, need)
  return (high[row + CPU_SHARE]! > 0 ? 0 : EMPTY) + (over > 0 ? OVERFILLED + over : 0)
}

/** How far CPU's part in the free room is from its part in the task: 0 to 1. Of a block the least of any: 0 where they may be alike. */
function misfit({ low, high }: Rows, row: number, { cpuCores, memoryBytes }: Need): number {
  const cpuLeast = leftOf(high[row + CPU_SHARE]!)
  const cpuMost = leftOf(low[row + CPU_SHARE]!)
  const memoryLeast = leftOf(high[row + MEMORY_SHARE]!)
  const memoryMost = leftOf(low[row + MEMORY_SHARE]!)
  const neededLeast = partOf(cpuCores * low[row + SHARE_PER_CORE]!, memoryBytes * high[row + SHARE_PER_BYTE]!)
  const neededMost = partOf(cpuCores * high[row + SHARE_PER_CORE]!, memoryBytes * low[row + SHARE_PER_BYTE]!)
  return Math.max(0, partOf(cpuLeast, memoryMost) - neededMost, neededLeast - partOf(cpuMost, memoryLeast))
}

/** So written that, rounded as it is, it rises with `cpu` and falls with `memory`. */
function partOf(cpu: number, memory: number): number {
  return cpu === 0 ? 0 : 1 / (1 + memory / cpu)
}

function leftOf(share: number): number {
  return Math.max(0, 1 - share)
}
