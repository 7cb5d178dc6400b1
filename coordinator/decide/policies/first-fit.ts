import type { Policy } from './policy.ts'
import { overflowOf } from './shares.ts'

/**
 * The first node by name that can take it. Where its tasks are assumed to need more than there is (none of it promised,
 * so that no check forbids it), a node comes after all others, the least overfilled first.
 */
export const firstFit: Policy = {
  name: 'first-fit',
  reads: ['cpuShare', 'memoryShare', 'sharePerCore', 'sharePerByte'],
  scores(nodes, list, from, to, need, into) {
    for (let at = from; at < to; at++) into[at - from] = overflowOf(nodes, list[at]!, need)
  },
  parts: (nodes, index, need) => ({ overfilled: overflowOf(nodes, index, need), place: index + 1 }),
}
