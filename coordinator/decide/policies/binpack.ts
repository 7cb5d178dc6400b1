import type { Bounds, Need, Policy } from './policy.ts'
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
  reads: {
    low: ['cpuShare', 'memoryShare', 'sharePerCore', 'sharePerByte'],
    high: ['cpuShare', 'memoryShare', 'sharePerCore', 'sharePerByte'],
  },
  scores(nodes, list, from, to, need, into) {
    for (let at = from; at < to; at++) into[at - from] = score(nodes, list[at]!, need)
  },
  shape: (figures, node) => partOf(leftOf(figures.cpuShare[node]!), leftOf(figures.memoryShare[node]!)),
  // A task that runs is not moved for a better shape: only for fewer or fuller nodes.
  worth(nodes, list, from, to, need, into) {
    for (let at = from; at < to; at++) into[at - from] = leftAfter(nodes, list[at]!, need)
  },
  parts({ low, high }, node, { cpuCores, memoryBytes }) {
    return {
      shapeApart: misfit({ low, high }, node, { cpuCores, memoryBytes }),
      cpuShareLeft: leftOf(high.cpuShare[node]! + cpuCores * high.sharePerCore[node]!),
      memoryShareLeft: leftOf(high.memoryShare[node]! + memoryBytes * high.sharePerByte[node]!),
      overfilled: overflowAfter(low, node, { cpuCores, memoryBytes }),
    }
  },
}

/** No task is assumed to need nothing, so a share of 0 means an empty node. Greater than all else, and each greater than all before it. */
const EMPTY = 10
const OVERFILLED = 100
/** What is left settles what is nearly alike in shape. */
const LEFT = 0.02

function score(rows: Bounds, node: number, need: Need): number {
  return misfit(rows, node, need) + squaresLeft(rows, node, need) * LEFT + penalty(rows, node, need)
}

function leftAfter(rows: Bounds, node: number, need: Need): number {
  return squaresLeft(rows, node, need) + penalty(rows, node, need)
}

function squaresLeft({ high }: Bounds, node: number, need: Need): number {
  const cpu = leftOf(high.cpuShare[node]! + need.cpuCores * high.sharePerCore[node]!)
  const memory = leftOf(high.memoryShare[node]! + need.memoryBytes * high.sharePerByte[node]!)
  return cpu * cpu + memory * memory
}

function penalty({ low, high }: Bounds, node: number, need: Need): number {
  const over = overflowAfter(low, node, need)
  return (high.cpuShare[node]! > 0 ? 0 : EMPTY) + (over > 0 ? OVERFILLED + over : 0)
}

/** How far CPU's part in the free room is from its part in the task: 0 to 1. Of a block the least of any: 0 where they may be alike. */
function misfit({ low, high }: Bounds, node: number, { cpuCores, memoryBytes }: Need): number {
  const cpuLeast = leftOf(high.cpuShare[node]!)
  const cpuMost = leftOf(low.cpuShare[node]!)
  const memoryLeast = leftOf(high.memoryShare[node]!)
  const memoryMost = leftOf(low.memoryShare[node]!)
  const neededLeast = partOf(cpuCores * low.sharePerCore[node]!, memoryBytes * high.sharePerByte[node]!)
  const neededMost = partOf(cpuCores * high.sharePerCore[node]!, memoryBytes * low.sharePerByte[node]!)
  return Math.max(0, partOf(cpuLeast, memoryMost) - neededMost, neededLeast - partOf(cpuMost, memoryLeast))
}

/** So written that, rounded as it is, it rises with `cpu` and falls with `memory`. */
function partOf(cpu: number, memory: number): number {
  return cpu === 0 ? 0 : 1 / (1 + memory / cpu)
}

function leftOf(share: number): number {
  return Math.max(0, 1 - share)
}
