/**
 * The nodes that pass the fixed checks of some versions, in blocks that know bounds of what is in them, for one policy:
 * the least and greatest of each figure that the policy reads, and the most that any of them has free. A block whose bounds
 * say that none of its nodes fits, or that none can beat the best so far, is left out unseen.
 *
 * Bounds need not be tight to be right. A node that took a task only widens those of its block; when the block is next
 * looked into, they are made tight again. Blocks prune well when what is in them is alike, so after many placements the
 * nodes are sorted anew by their score.
 */
import {
  CHANGED_BY_TASKS,
  CPU_FREE,
  MEMORY_FREE,
  type Need,
  OWN_TASKS,
  type Policy,
  ROW,
  type Rows,
} from '../policies/policy.ts'
import type { Nodes } from './nodes.ts'

export const BLOCK_NODES = 16

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
  /** Of these, what a task changes. */
  readonly #moving: readonly number[]
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
    this.#moving = this.#columns.filter((column) => CHANGED_BY_TASKS.has(column))
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
    for (const column of this.#moving) this.#measure(block, column)
  }

  #measure(block: number, column: number): void {
    const values = this.#nodes.rows.low
    const { list } = this
    const to = this.endOf(block)
    let least = Number.POSITIVE_INFINITY
    let most = Number.NEGATIVE_INFINITY
    for (let at = block * BLOCK_NODES; at < to; at++) {
      const value = values[list[at]! * ROW + column]!
      if (value < least) least = value
      if (value > most) most = value
    }
    this.rows.low[block * ROW + column] = least
    this.rows.high[block * ROW + column] = most
  }

  #widen(index: number): void {
    const block = this.#blockOf[index]!
    if (block === -1) return
    this.#loose[block] = 1
    this.#changes += 1
    const { low, high } = this.rows
    const values = this.#nodes.rows.low
    for (const column of this.#moving) {
      const value = values[index * ROW + column]!
      const at = block * ROW + column
      if (value < low[at]!) low[at] = value
      if (value > high[at]!) high[at] = value
    }
  }

  /** By score, as far as the width of a key tells scores apart: bounds are right in whatever order nodes stand. */
  #sort(need: Need): void {
    const { list } = this
    const scores = new Float64Array(list.length)
    this.#policy.scores(this.#nodes.rows, list, 0, list.length, need, scores)
    let least = Number.POSITIVE_INFINITY
    let most = Number.NEGATIVE_INFINITY
    for (const score of scores) {
      least = Math.min(least, score)
      most = Math.max(most, score)
    }
    const scale = most > least ? SCORE_STEPS / (most - least) : 0
    // Without a comparing function numbers are sorted natively, in place.
    const keys = scores
    for (let at = 0; at < keys.length; at++)
      keys[at] = Math.floor((keys[at]! - least) * scale) * INDEXES_MAX + list[at]!
    keys.sort()
    for (let at = 0; at < keys.length; at++) list[at] = keys[at]! % INDEXES_MAX
    this.#lay()
  }

  #lay(): void {
    this.firstIndex.fill(this.#nodes.count)
    for (let at = 0; at < this.list.length; at++) {
      const block = Math.floor(at / BLOCK_NODES)
      this.#blockOf[this.list[at]!] = block
      this.firstIndex[block] = Math.min(this.firstIndex[block]!, this.list[at]!)
    }
    this.#loose.fill(0)
    for (let block = 0; block < this.count; block++) {
      for (const column of this.#columns) this.#measure(block, column)
    }
    this.#caughtUpTo = this.#nodes.taken.length
    this.#changes = 0
  }
}

/** Sorting costs as much as some hundred placements; it is done once so many times the nodes have changed. */
const CHANGES_BEFORE_SORT = 0.7

/** A key is a score in so many steps and an index below so many: together 53 bits, all that a number holds exactly. */
const SCORE_STEPS = 2 ** 29
const INDEXES_MAX = 2 ** 23
