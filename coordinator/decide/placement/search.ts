/**
 * The best node for one task, exactly, without looking at all of them: branch and bound over blocks of blocks. Of what a
 * block holds the most promising is looked into first; then only what has a bound that is not worse than the best node found.
 */
import type { Need, Policy } from '../policies/policy.ts'
import { BLOCK_SIZE, type Blocks } from './blocks.ts'
import type { Nodes } from './nodes.ts'

export type Wanted = {
  policy: Policy
  need: Need
  promised: Need
  /** What is asked of a node; minus infinity where nothing is, since such a task fits also where too much is promised. */
  cpuCores: number
  memoryBytes: number
  /** The checks that have no column; asked only of nodes that would be the best. Null: none has anything to say. */
  passes: ((index: number) => boolean) | null
}

export type SearchCost = { scores: number; bounds: number }

/** Index of the best fitting node; -1 when none fits. */
export function searchBest(wanted: Wanted, nodes: Nodes, blocks: Blocks, cost: SearchCost): number {
  blocks.catchUp()
  best.index = -1
  best.score = Number.POSITIVE_INFINITY
  lookInto(blocks.root, 0, wanted, nodes, blocks, cost)
  return best.index
}

/** Kept from search to search, so that none allocates. */
const best = { index: -1, score: Number.POSITIVE_INFINITY }
const oneIndex = new Int32Array(1)
const oneScore = new Float64Array(1)
/** By how many blocks one is in: of eight each, so many hold more nodes than there can be. */
const boundsWithin = Array.from({ length: 16 }, () => new Float64Array(BLOCK_SIZE))

function lookInto(block: number, depth: number, wanted: Wanted, nodes: Nodes, blocks: Blocks, cost: SearchCost): void {
  const from = blocks.firstIn(block)
  const to = blocks.endIn(block)
  const bounds = boundsWithin[depth]!
  wanted.policy.scores(blocks.bounds, blocks.all, from, to, wanted.need, bounds)
  cost.bounds += to - from
  let next = mostPromising(from, to, bounds, wanted, blocks)
  if (next === -1) blocks.measureRoom(block)
  for (; next !== -1; next = mostPromising(from, to, bounds, wanted, blocks)) {
    bounds[next - from] = Number.POSITIVE_INFINITY
    if (blocks.isOneNode(next)) lookAt(blocks.firstIndex[next]!, wanted, nodes, cost)
    else lookInto(next, depth + 1, wanted, nodes, blocks, cost)
  }
}

/** Of these blocks the one that may hold the best node; -1: none can beat the best so far. */
function mostPromising(from: number, to: number, bounds: Float64Array, wanted: Wanted, blocks: Blocks): number {
  const { firstIndex } = blocks
  let least = best.score
  let first = best.index
  let next = -1
  for (let block = from; block < to; block++) {
    const bound = bounds[block - from]!
    if (bound > least || (bound === least && firstIndex[block]! >= first)) continue
    if (!blocks.mayHaveRoom(block, wanted.cpuCores, wanted.memoryBytes)) continue
    least = bound
    first = firstIndex[block]!
    next = block
  }
  return next
}

function lookAt(index: number, wanted: Wanted, nodes: Nodes, cost: SearchCost): void {
  oneIndex[0] = index
  wanted.policy.scores(nodes.figures, oneIndex, 0, 1, wanted.need, oneScore)
  cost.scores += 1
  const score = oneScore[0]!
  if (score > best.score || (score === best.score && index > best.index)) return
  if (wanted.passes !== null && !wanted.passes(index)) return
  best.index = index
  best.score = score
}
