import type { Figures, Need, Policy } from './policy.ts'
import { overflowOf } from './shares.ts'

/**
 * Best fit over all resources at once: the node that the task leaves least of, by the sum of squares of what is left (the
 * L2 norm of Panigrahy, Talwar, Uyeda and Wieder, "Heuristics for Vector Bin Packing", 2011), so that nodes are filled
 * evenly in CPU and memory. An empty node is begun only when no other takes it; one that would be overfilled by what its
 * tasks are assumed to need comes last.
 */
export const binpack: Policy = {
  name: 'binpack',
  reads: ['tasks', 'cpuShare', 'memoryShare', 'sharePerCore', 'sharePerByte'],
  scores(nodes, list, from, to, need, into) {
    for (let at = from; at < to; at++) into[at - from] = score(nodes, list[at]!, need)
  },
  parts: (nodes, index, need) => ({
    cpuShareLeft: leftOf(nodes.cpuShare.high[index]!, need.cpuCores * nodes.sharePerCore.high[index]!),
    memoryShareLeft: leftOf(nodes.memoryShare.high[index]!, need.memoryBytes * nodes.sharePerByte.high[index]!),
    tasks: nodes.tasks.high[index]!,
  }),
}

/** Greater than any sum of squares of shares, and each greater than all before it. */
const EMPTY = 10
const OVERFILLED = 100

function score(nodes: Figures, index: number, need: Need): number {
  const { cpuShare, memoryShare, sharePerCore, sharePerByte, tasks } = nodes
  const cpu = leftOf(cpuShare.high[index]!, need.cpuCores * sharePerCore.high[index]!)
  const memory = leftOf(memoryShare.high[index]!, need.memoryBytes * sharePerByte.high[index]!)
  const over = overflowOf(nodes, index, need)
  return cpu * cpu + memory * memory + (tasks.high[index]! > 0 ? 0 : EMPTY) + (over > 0 ? OVERFILLED + over : 0)
}

function leftOf(share: number, more: number): number {
  const left = 1 - share - more
  return Math.max(left, 0)
}
