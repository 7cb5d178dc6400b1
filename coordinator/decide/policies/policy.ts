/**
 * The shape of a placement policy: one pure file each, and its line in `all.ts`. A policy gives numbers, and the fitting
 * node with the lowest wins; equal ones go by the order of the nodes' names, so that the same world gives the same answer.
 *
 * A policy's figures are intervals. For a node both ends are the same; for a block of nodes they are the least and the
 * greatest figure in it. A policy reads `low` where a smaller figure would lower the score and `high` where a greater one
 * would. Then its score of a block is a bound that none of the nodes in the block can beat, and the search leaves out whole
 * blocks without any policy knowing of it (branch and bound: Land and Doig, 1960). A test holds every policy to this.
 */
import type { PolicyName } from '../../../shared/spec.ts'

export type Policy = {
  name: PolicyName
  /** The figures that `scores` reads, besides `ownTasks`; for blocks only these are kept. */
  reads: readonly FigureName[]
  /** Writes the score of `nodes[list[from]]` into `into[0]` and so on until before `to`. Lower is better; finite. */
  scores(nodes: Figures, list: Int32Array, from: number, to: number, need: Need, into: Float64Array): void
  /** The same in parts, for `berth why`: names and figures as people know them. */
  parts(nodes: Figures, index: number, need: Need): Record<string, number>
}

/** What a task is assumed to need; see `demand.ts`. Never zero. */
export type Need = { cpuCores: number; memoryBytes: number }

/** A column of figures, one per node or block. */
export type Interval = { low: Float64Array; high: Float64Array }

export const FIGURE_NAMES = [
  /** Tasks of the service that asks. */
  'ownTasks',
  'tasks',
  /** What the tasks there are assumed to need, as a share of the room; above 1 where too much was promised or assumed. */
  'cpuShare',
  'memoryShare',
  /** The greater of the two. */
  'scarcestShare',
  /** How much of the room one more core, or byte, would take. */
  'sharePerCore',
  'sharePerByte',
  /** The recent peak as measured, and what was placed since, as a share of what the host has. */
  'cpuLoad',
  'memoryLoad',
  'busiestLoad',
  'loadPerCore',
  'loadPerByte',
  /** Share of the time in which something waited for CPU, memory or disks, at its recent peak: 0 to 1. */
  'pressure',
] as const
export type FigureName = (typeof FIGURE_NAMES)[number]

export type Figures = Record<FigureName, Interval>
