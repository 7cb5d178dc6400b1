/**
 * The nodes that pass the fixed checks of some versions, for one policy, in blocks, these in blocks of blocks, and so on up
 * to one that holds all. A block knows bounds of what is in it: the least or greatest of each figure that the policy reads,
 * and the most that any of its nodes has free. A block whose bounds say that none of its nodes fits, or that none can beat
 * the best so far, is left out unseen with all that it holds. The smallest blocks are of one node, and have its figures.
 *
 * A node that took a task changes the bounds of its blocks only as far as it was the least in them, which mostly is not far.
 * What a block has free at most may be less by now: that is measured anew where it led to a look in vain. Bounds are close
 * where nodes of one size and shape stand together (`Policy.shape`), so after many placements the nodes are sorted anew.
 */
import {
  type Bounds,
  CHANGED_BY_TASKS,
  type Figure,
  type Figures,
  newFigures,
  type Policy,
} from '../policies/policy.ts'
import { type Nodes, SIZES } from './nodes.ts'

/** So many blocks to the next larger one. */
export const BLOCK_SIZE = 8

/** A figure as it is kept of blocks, and as it is of nodes. */
type Column = { figure: Figure; ofBlocks: Float64Array; ofNodes: Float64Array }

export class Blocks {
  /** The block that holds all. */
  readonly root: number
  /** The lowest index of a node in each block: what settles equal scores. Of a block of one node: its index. */
  readonly firstIndex: Int32Array
  /** What is kept is `policy.reads` and what is free; other figures are not there. */
  readonly bounds: Bounds
  /** Each block's number, for policies, which go by lists. */
  readonly all: Int32Array
  readonly #nodes: Nodes
  readonly #policy: Policy
  /** How many there are, and so how many blocks of one. */
  readonly #nodeCount: number
  /** By node index; -1: not among these nodes. */
  readonly #blockOf: Int32Array
  /** The block that holds a block; -1: none. */
  readonly #parents: Int32Array
  /** What a larger block holds: from `firstIn` until before `endIn`. */
  readonly #firstIn: Int32Array
  readonly #endIn: Int32Array
  readonly #low: readonly Column[]
  readonly #high: readonly Column[]
  /** Of these, what a task changes. */
  readonly #movingLow: readonly Column[]
  readonly #movingHigh: readonly Column[]
  #caughtUpTo = 0
  /** Placements on its nodes since they were sorted. */
  #changes = 0

  constructor(nodes: Nodes, policy: Policy, eligible: Int32Array) {
    this.#nodes = nodes
    this.#policy = policy
    this.#nodeCount = eligible.length
    this.#parents = parentsOver(eligible.length)
    const count = this.#parents.length
    this.root = count - 1
    this.#firstIn = new Int32Array(count).fill(count)
    this.#endIn = new Int32Array(count)
    for (let block = 0; block < this.root; block++) {
      const parent = this.#parents[block]!
      this.#firstIn[parent] = Math.min(this.#firstIn[parent]!, block)
      this.#endIn[parent] = block + 1
    }
    this.all = Int32Array.from({ length: count }, (_, block) => block)
    this.firstIndex = new Int32Array(count)
    this.firstIndex.set(eligible)
    this.#blockOf = new Int32Array(nodes.count).fill(-1)
    const high: Figure[] = [...policy.reads.high, 'cpuFree', 'memoryFree']
    // How many tasks of a service there are differs with every service that asks; none is what is always true.
    this.bounds = { low: newFigures(count, [...policy.reads.low, 'ownTasks']), high: newFigures(count, high) }
    this.#low = policy.reads.low.map((figure) => columnOf(figure, this.bounds.low, nodes.figures.low))
    this.#high = high.map((figure) => columnOf(figure, this.bounds.high, nodes.figures.high))
    this.#movingLow = this.#low.filter(({ figure }) => CHANGED_BY_TASKS.has(figure))
    this.#movingHigh = this.#high.filter(({ figure }) => CHANGED_BY_TASKS.has(figure))
    this.#sort()
  }

  isOneNode(block: number): boolean {
    return block < this.#nodeCount
  }

  firstIn(block: number): number {
    return this.#firstIn[block]!
  }

  endIn(block: number): number {
    return this.#endIn[block]!
  }

  /** False: none of its nodes has so much free. */
  mayHaveRoom(block: number, cpuCores: number, memoryBytes: number): boolean {
    const { cpuFree, memoryFree } = this.bounds.high
    return cpuFree[block]! >= cpuCores && memoryFree[block]! >= memoryBytes
  }

  /** Makes the bounds those of what was placed since. */
  catchUp(): void {
    const { taken } = this.#nodes
    for (; this.#caughtUpTo < taken.length; this.#caughtUpTo++) this.#settle(taken[this.#caughtUpTo]!)
    if (this.#changes > CHANGES_BEFORE_SORT * this.#nodeCount) this.#sort()
  }

  #settle(index: number): void {
    const block = this.#blockOf[index]!
    if (block === -1) return
    this.#changes += 1
    for (const { ofBlocks, ofNodes } of this.#movingLow) this.#settleLow(ofBlocks, block, ofNodes[index]!)
    for (const { ofBlocks, ofNodes } of this.#movingHigh) this.#settleHigh(ofBlocks, block, ofNodes[index]!)
  }

  /** The block's least has become `value`. */
  #settleLow(low: Float64Array, block: number, value: number): void {
    let was = low[block]!
    let is = value
    for (let at = block; is !== was; ) {
      low[at] = is
      at = this.#parents[at]!
      if (at === -1) return
      const least = low[at]!
      if (is < least) was = least
      else if (was === least) is = this.#leastIn(low, at)
      else return
    }
  }

  /** That less is the greatest now is not looked for: mostly it is what is free, and enough all the same. */
  #settleHigh(high: Float64Array, block: number, value: number): void {
    high[block] = value
    for (let at = this.#parents[block]!; at !== -1 && high[at]! < value; at = this.#parents[at]!) high[at] = value
  }

  /** For a block that promises room, and in which there is none. */
  measureRoom(block: number): void {
    const { cpuFree, memoryFree } = this.bounds.high
    cpuFree[block] = this.#greatestIn(cpuFree, block)
    memoryFree[block] = this.#greatestIn(memoryFree, block)
  }

  #leastIn(low: Float64Array, block: number): number {
    const to = this.#endIn[block]!
    let least = Number.POSITIVE_INFINITY
    for (let at = this.#firstIn[block]!; at < to; at++) if (low[at]! < least) least = low[at]!
    return least
  }

  #greatestIn(high: Float64Array, block: number): number {
    const to = this.#endIn[block]!
    let greatest = Number.NEGATIVE_INFINITY
    for (let at = this.#firstIn[block]!; at < to; at++) if (high[at]! > greatest) greatest = high[at]!
    return greatest
  }

  /** By size, and in it by shape, as far as the width of a key tells shapes apart: bounds hold in whatever order nodes stand. */
  #sort(): void {
    this.#changes = 0
    const { shape } = this.#policy
    if (shape) {
      const keys = this.#keysBy(shape)
      // Without a comparing function numbers are sorted natively, in place.
      keys.sort()
      for (let at = 0; at < keys.length; at++) this.firstIndex[at] = keys[at]! % INDEXES_MAX
    }
    this.#lay()
  }

  #keysBy(shape: NonNullable<Policy['shape']>): Float64Array {
    const { figures, sizes } = this.#nodes
    const { firstIndex } = this
    const keys = new Float64Array(this.#nodeCount)
    let least = Number.POSITIVE_INFINITY
    let most = Number.NEGATIVE_INFINITY
    for (let at = 0; at < keys.length; at++) {
      const value = shape(figures.low, firstIndex[at]!)
      keys[at] = value
      if (value < least) least = value
      if (value > most) most = value
    }
    const scale = most > least ? (SHAPE_STEPS - 1) / (most - least) : 0
    for (let at = 0; at < keys.length; at++) {
      const index = firstIndex[at]!
      const step = Math.floor((keys[at]! - least) * scale)
      keys[at] = (sizes[index]! * SHAPE_STEPS + step) * INDEXES_MAX + index
    }
    return keys
  }

  /** The blocks over the nodes as these stand in `firstIndex`. */
  #lay(): void {
    const { firstIndex } = this
    for (let block = 0; block < this.#nodeCount; block++) this.#blockOf[firstIndex[block]!] = block
    for (let block = this.#nodeCount; block <= this.root; block++) {
      let first = this.#nodes.count
      for (let at = this.firstIn(block); at < this.endIn(block); at++) first = Math.min(first, firstIndex[at]!)
      firstIndex[block] = first
    }
    for (const { ofBlocks, ofNodes } of this.#low) {
      for (let block = 0; block < this.#nodeCount; block++) ofBlocks[block] = ofNodes[firstIndex[block]!]!
      for (let block = this.#nodeCount; block <= this.root; block++) ofBlocks[block] = this.#leastIn(ofBlocks, block)
    }
    for (const { ofBlocks, ofNodes } of this.#high) {
      for (let block = 0; block < this.#nodeCount; block++) ofBlocks[block] = ofNodes[firstIndex[block]!]!
      for (let block = this.#nodeCount; block <= this.root; block++) ofBlocks[block] = this.#greatestIn(ofBlocks, block)
    }
    this.#caughtUpTo = this.#nodes.taken.length
  }
}

function columnOf(figure: Figure, ofBlocks: Figures, ofNodes: Figures): Column {
  return { figure, ofBlocks: ofBlocks[figure], ofNodes: ofNodes[figure] }
}

/** By block the one that holds it: first so many of one node, then the next larger ones, and so on until one holds all; it has -1. */
function parentsOver(nodeCount: number): Int32Array {
  const parents: number[] = []
  let count = nodeCount
  do {
    const larger = Math.max(1, Math.ceil(count / BLOCK_SIZE))
    const next = parents.length + count
    for (let at = 0; at < count; at++) parents.push(next + Math.floor(at / BLOCK_SIZE))
    count = larger
  } while (count > 1)
  return Int32Array.from([...parents, -1])
}

/** Sorting costs as much as some hundred placements; it is done once so many times the nodes have changed. */
const CHANGES_BEFORE_SORT = 1

/** A key is a size, a shape in so many steps, and an index below so many: together 53 bits, all that a number holds exactly. */
const SHAPE_STEPS = 2 ** 30 / SIZES
const INDEXES_MAX = 2 ** 23
