/**
 * The best node for one task, exactly, without looking at all of them: branch and bound over blocks. The most promising
 * block is looked into first; then only those whose bound is not worse than the best node found.
 */
import type { Need, Policy } from '../policies/policy.ts'
import { BLOCK_NODES, type Blocks } from './blocks.ts'
import type { Nodes } from './nodes.ts'

export type Wanted = {
  policy: Policy
  need: Need
  /** What is asked of a node; minus infinity where nothing is, since such a task fits also where too much is promised. */
  cpuCores: number
  memoryBytes: number
  /** The checks that have no column; asked only of nodes that would be the best. */
  passes(index: number): boolean
}

export type SearchCost = { scores: number; bounds: number }

const scores = new Float64Array(BLOCK_NODES)

/** Index of the best fitting node; -1 when none fits. */
export function searchBest(wanted: Wanted, nodes: Nodes, blocks: Blocks, cost: SearchCost): number {
  blocks.bound(wanted.need)
  cost.bounds += blocks.count
  const { bounds, cpuFreeMax, memoryFreeMax } = blocks
  const { cpuCores, memoryBytes } = wanted
  let first = -1
  for (let block = 0; block < blocks.count; block++) {
    if (cpuFreeMax[block]! < cpuCores || memoryFreeMax[block]! < memoryBytes) continue
    if (first === -1 || bounds[block]! < bounds[first]!) first = block
  }
  if (first === -1) return -1
  const best = { index: -1, score: Number.POSITIVE_INFINITY }
  look(first)
  for (let block = 0; block < blocks.count; block++) {
    if (block === first || bounds[block]! > best.score) continue
    if (cpuFreeMax[block]! < cpuCores || memoryFreeMax[block]! < memoryBytes) continue
    look(block)
  }
  return best.index

  function look(block: number): void {
    blocks.tighten(block)
    if (cpuFreeMax[block]! < cpuCores || memoryFreeMax[block]! < memoryBytes) return
    const from = block * BLOCK_NODES
    const to = blocks.endOf(block)
    const { list } = blocks
    const { cpuFree, memoryFree } = nodes
    wanted.policy.scores(nodes.figures, list, from, to, wanted.need, scores)
    cost.scores += to - from
    for (let at = from; at < to; at++) {
      const score = scores[at - from]!
      if (score > best.score) continue
      const index = list[at]!
      if (cpuFree[index]! < cpuCores || memoryFree[index]! < memoryBytes) continue
      if (score === best.score && index > best.index) continue
      if (!wanted.passes(index)) continue
      best.index = index
      best.score = score
    }
  }
}
