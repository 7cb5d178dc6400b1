import type { Policy } from './policy.ts'
import { fillScarcestAfter } from './shares.ts'

/**
 * Evens out: first the tasks of the same service (a lost node then costs it least), then what the tasks of a node are
 * assumed to need, with this one, of the scarcer of CPU and memory. Every task is assumed to need something, so that the
 * number of tasks is evened out where nothing is promised. Values of the labels that `placement.preferences` names come
 * before either, whatever the policy: see `placement/groups.ts`.
 */
export const spread: Policy = {
  name: 'spread',
  reads: ['cpuShare', 'memoryShare', 'scarcestShare', 'sharePerCore', 'sharePerByte'],
  scores(nodes, list, from, to, need, into) {
    fillScarcestAfter(nodes, list, from, to, need, into)
    const ownTasks = nodes.ownTasks.low
    for (let at = from; at < to; at++) {
      into[at - from] = ownTasks[list[at]!]! * ONE_TASK + Math.min(SHARE_MAX, into[at - from]!)
    }
  },
  parts({ ownTasks, cpuShare, memoryShare, sharePerCore, sharePerByte }, index, need) {
    return {
      tasksOfService: ownTasks.low[index]!,
      cpuShareAfter: cpuShare.low[index]! + need.cpuCores * sharePerCore.low[index]!,
      memoryShareAfter: memoryShare.low[index]! + need.memoryBytes * sharePerByte.low[index]!,
    }
  },
}

/** One more task of the service outweighs any share. */
const ONE_TASK = 1024
const SHARE_MAX = 1023
