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
  promised: Need
  /** What is asked of a node; minus infinity where nothing is, since such a task fits also where too much is promised. */
  cpuCores: number
  memoryBytes: number
  /** The checks that have no column; asked only of nodes that would be the best. */
  passes(index: number): boolean
}

export type SearchCost = { scores: number; bounds: number }

/** Index of the best fitting node; -1 when none fits. */
export function searchBest(wanted: Wanted, nodes: Nodes, blocks: Blocks, cost: SearchCost): number {
  blocks.bound(wanted.need)
  cost.bounds += blocks.count
  const first = mostPromising(wanted, blocks)
  if (first === -1) return -1
  best.index = -1
  best.score = Number.POSITIVE_INFINITY
  look(first, wanted, nodes, blocks, cost)
  const { bounds, firstIndex } = blocks
  for (let block = 0; block < blocks.count; block++) {
    const bound = bounds[block]!
    if (bound > best.score || (bound === best.score && firstIndex[block]! > best.index)) continue
    if (block === first || !blocks.mayHaveRoom(block, wanted.cpuCores, wanted.memoryBytes)) continue
    look(block, wanted, nodes, blocks, cost)
  }
  return best.index
}

/** Kept from search to search, so that none allocates. */
const scores = new Float64Array(BLOCK_NODES)
const best = { index: -1, score: Number.POSITIVE_INFINITY }

function mostPromising(wanted: Wanted, blocks: Blocks): number {
  let first = -1
  for (let block = 0; block < blocks.count; block++) {
    if (first !== -1 && blocks.bounds[block]! >= blocks.bounds[first]!) continue
    if (blocks.mayHaveRoom(block, wanted.cpuCores, wanted.memoryBytes)) first = block
  }
  return first
}

function look(block: number, wanted: Wanted, nodes: Nodes, blocks: Blocks, cost: SearchCost): void {
  blocks.tighten(block)
  const from = block * BLOCK_NODES
  const to = blocks.endOf(block)
  const { list } = blocks
  wanted.policy.scores(nodes.rows, list, from, to, wanted.need, scores)
  cost.scores += to - from
  for (let at = from; at < to; at++) {
    const score = scores[at - from]!
    if (score > best.score) continue
    const index = list[at]!
    if (score === best.score && index > best.index) continue
    if (!nodes.hasRoom(index, wanted.cpuCores, wanted.memoryBytes)) continue
    if (!wanted.passes(index)) continue
    best.index = index
    best.score = score
  }
}
