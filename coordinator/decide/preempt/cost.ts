/**
 * Which of two sets of victims is better. The order, first difference decides:
 *
 *   1. fewest whose data is on the node: they can come back only there, where the room is now another's
 *   2. fewest victims: each is an interruption that somebody notices
 *   3. the lowest highest priority: nobody important goes while somebody unimportant would do
 *   4. the lowest sum of priorities
 *   5. fewest services: two tasks of one service are one owner's trouble (and budgets bound how many)
 *   6. least work lost: the time since each was first up, summed. Times are never quite equal, so this stands last
 *   7. the node's name, so that the same world gives the same answer
 *
 * Kubernetes asks first for broken budgets (here: never), then the highest priority, the sum, the count and the start
 * times (kube-scheduler's pickOneNodeForPreemption). The count stands higher here since few large victims are found
 * exactly, and since classes of priority are coarse: one task of class low is a smaller loss than ten of best-effort.
 */
export type Cost = readonly [
  homeBound: number,
  victims: number,
  highestPriority: number,
  prioritySum: number,
  services: number,
  lostMs: number,
]

export const NO_COST: Cost = [0, 0, -1, 0, 0, 0]

/** Negative when `a` is better. */
export function compareCosts(a: Cost, b: Cost): number {
  for (let index = 0; index < a.length; index += 1) {
    const difference = a[index]! - b[index]!
    if (difference !== 0) return difference
  }
  return 0
}
