import type { Policy } from './policy.ts'
import { scarcestAfter } from './shares.ts'

/**
 * Evens out: first the tasks of the same service (a lost node then costs it least), then what the tasks of a node are
 * assumed to need, with this one, of the scarcer of CPU and memory. Every task is assumed to need something, so that the
 * number of tasks is evened out where nothing is promised. Values of the labels that `placement.preferences` names come
 * before either, whatever the policy: see `placement/groups.ts`.
 */
export const spread: Policy = {
  name: 'spread',
  reads: { low: ['cpuShare', 'memoryShare', 'scarcestShare', 'sharePerCore', 'sharePerByte'], high: [] },
  scores({ low }, list, from, to, need, into) {
    for (let at = from; at < to; at++) {
      const node = list[at]!
      into[at - from] = low.ownTasks[node]! * ONE_TASK + Math.min(SHARE_MAX, scarcestAfter(low, node, need))
    }
  },
  shape: (figures, node) => figures.cpuShare[node]! - figures.memoryShare[node]!,
  parts({ low }, node, { cpuCores, memoryBytes }) {
    return {
      tasksOfService: low.ownTasks[node]!,
      cpuShareAfter: low.cpuShare[node]! + cpuCores * low.sharePerCore[node]!,
      memoryShareAfter: low.memoryShare[node]! + memoryBytes * low.sharePerByte[node]!,
    }
  },
}

/** One more task of the service outweighs any share. */
const ONE_TASK = 1024
const SHARE_MAX = 1023
