import { CPU_SHARE, MEMORY_SHARE, type Policy, ROW, SHARE_PER_BYTE, SHARE_PER_CORE } from './policy.ts'
import { overflowAfter } from './shares.ts'

/**
 * The first node by name that can take it. Where its tasks are assumed to need more than there is (none of it promised,
 * so that no check forbids it), a node comes after all others, the least overfilled first.
 */
export const firstFit: Policy = {
  name: 'first-fit',
  reads: [CPU_SHARE, MEMORY_SHARE, SHARE_PER_CORE, SHARE_PER_BYTE],
  scores({ low }, list, from, to, need, into) {
    for (let at = from; at < to; at++) into[at - from] = overflowAfter(low, list[at]! * ROW, need)
  },
  parts: ({ low }, node, need) => ({ overfilled: overflowAfter(low, node * ROW, need), place: node + 1 }),
}
