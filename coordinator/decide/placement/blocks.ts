/**
 * The nodes that pass the fixed checks of some versions, in blocks that know bounds of what is in them, for one policy:
 * the most that any of them has free, and the least and greatest of each figure that the policy reads. A block whose
 * bounds say that none of its nodes fits, or that none can beat the best so far, is left out unseen.
 *
 * Bounds need not be tight to be right. A node that took a task only widens those of its block; when the block is next
 * looked into, they are made tight again. Blocks prune well when what is in them is alike, so after many placements the
 * nodes are sorted anew by their score.
 */
import {
  FIGURE_NAMES,
  type FigureName,
  type Figures,
  type Interval,
  type Need,
  type Policy,
} from '../policies/policy.ts'
import type { Nodes } from './nodes.ts'

export const BLOCK_NODES = 32

export class Blocks {
  readonly count: number
  /** Node indexes; those of block b from b × BLOCK_NODES. */
  readonly list: Int32Array
  /** The lowest index in each block: what settles equal scores. */
  readonly firstIndex: Int32Array
  readonly cpuFreeMax: Float64Array
  readonly memoryFreeMax: Float64Array
  readonly figures: Figures
  /** The score that none of a block's nodes can beat, as of the last `bound`. */
  readonly bounds: Float64Array
  readonly #nodes: Nodes
  readonly #policy: Policy
  readonly #blockOf: Int32Array
  readonly #loose: Uint8Array
  readonly #all: Int32Array
  #caughtUpTo = 0
  /** Placements on its nodes since they were sorted. */
  #changes = 0

  constructor(nodes: Nodes, policy: Policy, eligible: Int32Array) {
    this.#nodes = nodes
    this.#policy = policy
    this.list = eligible.slice()
    this.count = Math.ceil(eligible.length / BLOCK_NODES)
    this.#blockOf = new Int32Array(nodes.count).fill(-1)
    this.#loose = new Uint8Array(this.count)
    this.#all = Int32Array.from({ length: this.count }, (_, block) => block)
    this.firstIndex = new Int32Array(this.count)
    this.cpuFreeMax = new Float64Array(this.count)
    this.memoryFreeMax = new Float64Array(this.count)
    this.bounds = new Float64Array(this.count)
    this.figures = intervals(this.count, policy)
    this.#lay()
  }

  endOf(block: number): number {
    return Math.min(this.list.length, (block + 1) * BLOCK_NODES)
  }

  /** Catches up with what was placed since, and reckons `bounds` for a task of this need. */
  bound(need: Need): void {
    const { taken } = this.#nodes
    for (; this.#caughtUpTo < taken.length; this.#caughtUpTo++) this.#widen(taken[this.#caughtUpTo]!)
    if (this.#changes > this.list.length) this.#sort(need)
    this.#policy.scores(this.figures, this.#all, 0, this.count, need, this.bounds)
  }

  /** Makes a block's bounds tight. */
  tighten(block: number): void {
    if (this.#loose[block] === 0) return
    this.#loose[block] = 0
    const from = block * BLOCK_NODES
    const to = this.endOf(block)
    const { cpuFree, memoryFree, figures } = this.#nodes
    let cpu = Number.NEGATIVE_INFINITY
    let memory = Number.NEGATIVE_INFINITY
    for (let at = from; at < to; at++) {
      const index = this.list[at]!
      if (cpuFree[index]! > cpu) cpu = cpuFree[index]!
      if (memoryFree[index]! > memory) memory = memoryFree[index]!
    }
    this.cpuFreeMax[block] = cpu
    this.memoryFreeMax[block] = memory
    for (const name of this.#policy.reads) this.#tightenFigure(figures[name].low, this.figures[name], block, from, to)
  }

  #tightenFigure(column: Float64Array, interval: Interval, block: number, from: number, to: number): void {
    let low = Number.POSITIVE_INFINITY
    let high = Number.NEGATIVE_INFINITY
    for (let at = from; at < to; at++) {
      const value = column[this.list[at]!]!
      if (value < low) low = value
      if (value > high) high = value
    }
    interval.low[block] = low
    interval.high[block] = high
  }

  #widen(index: number): void {
    const block = this.#blockOf[index]!
    if (block === -1) return
    this.#loose[block] = 1
    this.#changes += 1
    const { cpuFree, memoryFree, figures } = this.#nodes
    if (cpuFree[index]! > this.cpuFreeMax[block]!) this.cpuFreeMax[block] = cpuFree[index]!
    if (memoryFree[index]! > this.memoryFreeMax[block]!) this.memoryFreeMax[block] = memoryFree[index]!
    for (const name of this.#policy.reads) {
      const value = figures[name].low[index]!
      const { low, high } = this.figures[name]
      if (value < low[block]!) low[block] = value
      if (value > high[block]!) high[block] = value
    }
  }

  #sort(need: Need): void {
    const scores = new Float64Array(this.list.length)
    this.#policy.scores(this.#nodes.figures, this.list, 0, this.list.length, need, scores)
    const scoreOf = new Float64Array(this.#nodes.count)
    for (let at = 0; at < scores.length; at++) scoreOf[this.list[at]!] = scores[at]!
    this.list.sort((a, b) => scoreOf[a]! - scoreOf[b]! || a - b)
    this.#lay()
  }

  #lay(): void {
    this.firstIndex.fill(this.#nodes.count)
    for (let at = 0; at < this.list.length; at++) {
      const block = Math.floor(at / BLOCK_NODES)
      this.#blockOf[this.list[at]!] = block
      this.firstIndex[block] = Math.min(this.firstIndex[block]!, this.list[at]!)
    }
    this.#loose.fill(1)
    for (let block = 0; block < this.count; block++) this.tighten(block)
    this.#caughtUpTo = this.#nodes.taken.length
    this.#changes = 0
  }
}

function intervals(count: number, { reads }: Policy): Figures {
  const figures = {} as Record<FigureName, Interval>
  for (const name of FIGURE_NAMES) {
    const size = reads.includes(name) ? count : 0
    figures[name] = { low: new Float64Array(size), high: new Float64Array(size) }
  }
  // Differs with every service that asks: what is always true has to do.
  figures.ownTasks = { low: new Float64Array(count), high: new Float64Array(count).fill(Number.POSITIVE_INFINITY) }
  return figures
}
