/**
 * The shape of a placement policy: one pure file each, and its line in `all.ts`. A policy gives numbers, and the fitting
 * node with the lowest wins; equal ones go by the order of the nodes' names, so that the same world gives the same answer.
 *
 * Figures stand in columns with an entry for each node. They are bounds: for a node `low` and `high` are the same; for a block
 * of nodes they are the least and the greatest figure in it. A policy reads `low` where a smaller figure would lower the
 * score and `high` where a greater one would. Then its score of a block is a bound that none of the nodes in the block can
 * beat, and the search leaves out whole blocks without any policy knowing of it (branch and bound: Land and Doig, 1960). A
 * test holds every policy to this.
 */
import type { PolicyName } from '../../../shared/spec.ts'

export type Policy = {
  name: PolicyName
  /** The figures that `scores` reads of either half, besides `ownTasks`; for blocks only these are kept. */
  reads: { low: readonly Figure[]; high: readonly Figure[] }
  /** Writes the score of node `list[from]` into `into[0]` and so on until before `to`. Lower is better; finite. */
  scores(nodes: Bounds, list: Int32Array, from: number, to: number, need: Need, into: Float64Array): void
  /**
   * What makes nodes alike for it, whatever the need: nodes of near shapes stand together in blocks. Not given: in the order
   * of their names.
   */
  shape?(figures: Figures, node: number): number
  /** What a task that runs is moved for, where that is less than what places one; of single nodes only. Not given: the score. */
  worth?(nodes: Bounds, list: Int32Array, from: number, to: number, need: Need, into: Float64Array): void
  /** The same in parts, for `berth why`: names and figures as people know them. */
  parts(nodes: Bounds, node: number, need: Need): Record<string, number>
}

/** What a task is assumed to need; see `demand.ts`. Never zero. */
export type Need = { cpuCores: number; memoryBytes: number }

export type Bounds = { low: Figures; high: Figures }

export type Figures = {
  /** Tasks of the service that asks; of a block 0 is known at least. */
  ownTasks: Float64Array
  /** What the tasks there are assumed to need, as a share of the room: above 1 where more is assumed than there is. */
  cpuShare: Float64Array
  memoryShare: Float64Array
  /** The greater of the two. */
  scarcestShare: Float64Array
  /** How much of the room one more core, or byte, would take. */
  sharePerCore: Float64Array
  sharePerByte: Float64Array
  /** What the checks of CPU and memory find free. */
  cpuFree: Float64Array
  memoryFree: Float64Array
  /** The recent peak as measured, and what was placed since, as a share of what the host has. */
  cpuLoad: Float64Array
  memoryLoad: Float64Array
  busiestLoad: Float64Array
  loadPerCore: Float64Array
  loadPerByte: Float64Array
  /** Share of the time in which something waited for CPU, memory or disks, at its recent peak: 0 to 1. */
  pressure: Float64Array
}

export type Figure = keyof Figures

/** `kept`: those that have entries, all 0; not given: all. */
export function newFigures(count: number, kept?: readonly Figure[]): Figures {
  const column = (figure: Figure) => new Float64Array(kept === undefined || kept.includes(figure) ? count : 0)
  return {
    ownTasks: column('ownTasks'),
    cpuShare: column('cpuShare'),
    memoryShare: column('memoryShare'),
    scarcestShare: column('scarcestShare'),
    sharePerCore: column('sharePerCore'),
    sharePerByte: column('sharePerByte'),
    cpuFree: column('cpuFree'),
    memoryFree: column('memoryFree'),
    cpuLoad: column('cpuLoad'),
    memoryLoad: column('memoryLoad'),
    busiestLoad: column('busiestLoad'),
    loadPerCore: column('loadPerCore'),
    loadPerByte: column('loadPerByte'),
    pressure: column('pressure'),
  }
}

/** The others are the node's own: they stay as they are when it takes a task. `ownTasks` is of whoever asks. */
export const CHANGED_BY_TASKS: ReadonlySet<Figure> = new Set<Figure>([
  ...(['cpuShare', 'memoryShare', 'scarcestShare'] as const),
  ...(['cpuFree', 'memoryFree'] as const),
  ...(['cpuLoad', 'memoryLoad', 'busiestLoad'] as const),
])
