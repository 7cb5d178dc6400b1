/**
 * The shape of a placement policy: one pure file each, and its line in `all.ts`. A policy gives numbers, and the fitting
 * node with the lowest wins; equal ones go by the order of the nodes' names, so that the same world gives the same answer.
 *
 * Figures stand in rows, one a node: `low[node * ROW + CPU_SHARE]`. They are intervals: for a node `low` and `high` are the
 * same; for a block of nodes they are the least and the greatest figure in it. A policy reads `low` where a smaller figure
 * would lower the score and `high` where a greater one would. Then its score of a block is a bound that none of the nodes
 * in the block can beat, and the search leaves out whole blocks without any policy knowing of it (branch and bound: Land
 * and Doig, 1960). A test holds every policy to this.
 */
import type { PolicyName } from '../../../shared/spec.ts'

export type Policy = {
  name: PolicyName
  /** The figures that `scores` reads, besides `OWN_TASKS`; for blocks only these are kept. */
  reads: readonly number[]
  /** Writes the score of node `list[from]` into `into[0]` and so on until before `to`. Lower is better; finite. */
  scores(nodes: Rows, list: Int32Array, from: number, to: number, need: Need, into: Float64Array): void
  /** What a task that runs is moved for, where that is less than what places one; of single nodes only. Not given: the score. */
  worth?(nodes: Rows, list: Int32Array, from: number, to: number, need: Need, into: Float64Array): void
  /** The same in parts, for `berth why`: names and figures as people know them. */
  parts(nodes: Rows, node: number, need: Need): Record<string, number>
}

/** What a task is assumed to need; see `demand.ts`. Never zero. */
export type Need = { cpuCores: number; memoryBytes: number }

export type Rows = { low: Float64Array; high: Float64Array }

/** Length of a row. What is looked at together stands together: either half is a line of the processor's cache. */
export const ROW = 16

/** Tasks of the service that asks; of a block 0 is known at least. */
export const OWN_TASKS = 0
/** What the tasks there are assumed to need, as a share of the room: above 1 where more is assumed than there is. */
export const CPU_SHARE = 1
export const MEMORY_SHARE = 2
/** The greater of the two. */
export const SCARCEST_SHARE = 3
/** How much of the room one more core, or byte, would take. */
export const SHARE_PER_CORE = 4
export const SHARE_PER_BYTE = 5
/** What the checks of CPU and memory find free. */
export const CPU_FREE = 6
export const MEMORY_FREE = 7
/** The recent peak as measured, and what was placed since, as a share of what the host has. */
export const CPU_LOAD = 8
export const MEMORY_LOAD = 9
export const BUSIEST_LOAD = 10
export const LOAD_PER_CORE = 11
export const LOAD_PER_BYTE = 12
/** Share of the time in which something waited for CPU, memory or disks, at its recent peak: 0 to 1. */
export const PRESSURE = 13

/** The others are the node's own: they stay as they are when it takes a task. `OWN_TASKS` is of whoever asks. */
export const CHANGED_BY_TASKS: ReadonlySet<number> = new Set([
  ...[CPU_SHARE, MEMORY_SHARE, SCARCEST_SHARE],
  ...[CPU_FREE, MEMORY_FREE],
  ...[CPU_LOAD, MEMORY_LOAD, BUSIEST_LOAD],
])
