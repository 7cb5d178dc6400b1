/**
 * The nodes that pass the fixed checks of some versions, in blocks that know bounds of what is in them, for one policy:
 * the least and greatest of each figure that the policy reads, and the most that any of them has free. A block whose bounds
 * say that none of its nodes fits, or that none can beat the best so far, is left out unseen.
 *
 * Bounds need not be tight to be right. A node that took a task only widens those of its block; when the block is next
 * looked into, they are made tight again. Blocks prune well when what is in them is alike, so after many placements the
 * nodes are sorted anew by their score.
 */
import { CPU_FREE, MEMORY_FREE, type Need, OWN_TASKS, type Policy, ROW, type Rows } from '../policies/policy.ts'
import type { Nodes } from './nodes.ts'

export const BLOCK_NODES = 32

export class Blocks {
  readonly count: number
  /** Node indexes; those of block b from b × BLOCK_NODES. */
  readonly list: Int32Array
  /** The lowest index in each block: what settles equal scores. */
  readonly firstIndex: Int32Array
  /** A row each. */
  readonly rows: Rows
  /** The score that none of a block's nodes can beat, as of the last `bound`. */
  readonly bounds: Float64Array
  readonly #nodes: Nodes
  readonly #policy: Policy
  readonly #columns: readonly number[]
  readonly #blockOf: Int32Array
  /** 1: its bounds may be tighter. */
  readonly #loose: Uint8Array
  readonly #all: Int32Array
  #caughtUpTo = 0
  /** Placements on its nodes since they were sorted. */
  #changes = 0

  constructor(nodes: Nodes, policy: Policy, eligible: Int32Array) {
    this.#nodes = nodes
    this.#policy = policy
    this.#columns = [...policy.reads, CPU_FREE, MEMORY_FREE]
    this.list = eligible.slice()
    this.count = Math.ceil(eligible.length / BLOCK_NODES)
    this.#blockOf = new Int32Array(nodes.count).fill(-1)
    this.#loose = new Uint8Array(this.count)
    this.#all = Int32Array.from({ length: this.count }, (_, block) => block)
    this.firstIndex = new Int32Array(this.count)
    this.bounds = new Float64Array(this.count)
    this.rows = { low: new Float64Array(this.count * ROW), high: new Float64Array(this.count * ROW) }
    // Differs with every service that asks: what is always true has to do.
    for (let block = 0; block < this.count; block++) this.rows.high[block * ROW + OWN_TASKS] = Number.POSITIVE_INFINITY
    this.#lay()
  }

  endOf(block: number): number {
    return Math.min(this.list.length, (block + 1) * BLOCK_NODES)
  }

  /** False: none of its nodes has so much free. */
  mayHaveRoom(block: number, cpuCores: number, memoryBytes: number): boolean {
    const { high } = this.rows
    return high[block * ROW + CPU_FREE]! >= cpuCores && high[block * ROW + MEMORY_FREE]! >= memoryBytes
  }

  /** Catches up with what was placed since, and reckons `bounds` for a task of this need. */
  bound(need: Need): void {
    const { taken } = this.#nodes
    for (; this.#caughtUpTo < taken.length; this.#caughtUpTo++) this.#widen(taken[this.#caughtUpTo]!)
    if (this.#changes > CHANGES_BEFORE_SORT * this.list.length) this.#sort(need)
    this.#policy.scores(this.rows, this.#all, 0, this.count, need, this.bounds)
  }

  /** Makes a block's bounds tight. */
  tighten(block: number): void {
    if (this.#loose[block] === 0) return
    this.#loose[block] = 0
    const { low, high } = this.rows
    const row = block * ROW
    for (const column of this.#columns) {
      low[row + column] = Number.POSITIVE_INFINITY
      high[row + column] = Number.NEGATIVE_INFINITY
    }
    const to = this.endOf(block)
    for (let at = block * BLOCK_NODES; at < to; at++) this.#include(this.list[at]!, row)
  }

  #widen(index: number): void {
    const block = this.#blockOf[index]!
    if (block === -1) return
    this.#loose[block] = 1
    this.#changes += 1
    this.#include(index, block * ROW)
  }

  #include(index: number, row: number): void {
    const { low, high } = this.rows
    const values = this.#nodes.rows.low
    const from = index * ROW
    for (const column of this.#columns) {
      const value = values[from + column]!
      if (value < low[row + column]!) low[row + column] = value
      if (value > high[row + column]!) high[row + column] = value
    }
  }

  #sort(need: Need): void {
    const scores = new Float64Array(this.list.length)
    this.#policy.scores(this.#nodes.rows, this.list, 0, this.list.length, need, scores)
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

/** Sorting costs as much as some hundred placements; it is done once so many times the nodes have changed. */
const CHANGES_BEFORE_SORT = 0.7
