import type { Policy } from './policy.ts'
import { overflowAfter } from './shares.ts'

/**
 * The first node by name that can take it. Where its tasks are assumed to need more than there is (none of it promised,
 * so that no check forbids it), a node comes after all others, the least overfilled first.
 */
export const firstFit: Policy = {
  name: 'first-fit',
  reads: { low: ['cpuShare', 'memoryShare', 'sharePerCore', 'sharePerByte'], high: [] },
  scores({ low }, list, from, to, need, into) {
    for (let at = from; at < to; at++) into[at - from] = overflowAfter(low, list[at]!, need)
  },
  parts: ({ low }, node, need) => ({ overfilled: overflowAfter(low, node, need), place: node + 1 }),
}
