import {
  CPU_SHARE,
  MEMORY_SHARE,
  OWN_TASKS,
  type Policy,
  ROW,
  SCARCEST_SHARE,
  SHARE_PER_BYTE,
  SHARE_PER_CORE,
} from './policy.ts'
import { scarcestAfter } from './shares.ts'

/**
 * Evens out: first the tasks of the same service (a lost node then costs it least), then what the tasks of a node are
 * assumed to need, with this one, of the scarcer of CPU and memory. Every task is assumed to need something, so that the
 * number of tasks is evened out where nothing is promised. Values of the labels that `placement.preferences` names come
 * before either, whatever the policy: see `placement/groups.ts`.
 */
export const spread: Policy = {
  name: 'spread',
  reads: [CPU_SHARE, MEMORY_SHARE, SCARCEST_SHARE, SHARE_PER_CORE, SHARE_PER_BYTE],
  scores({ low }, list, from, to, need, into) {
    for (let at = from; at < to; at++) {
      const row = list[at]! * ROW
      into[at - from] = low[row + OWN_TASKS]! * ONE_TASK + Math.min(SHARE_MAX, scarcestAfter(low, row, need))
    }
  },
  parts({ low }, node, { cpuCores, memoryBytes }) {
    const row = node * ROW
    return {
      tasksOfService: low[row + OWN_TASKS]!,
      cpuShareAfter: low[row + CPU_SHARE]! + cpuCores * low[row + SHARE_PER_CORE]!,
      memoryShareAfter: low[row + MEMORY_SHARE]! + memoryBytes * low[row + SHARE_PER_BYTE]!,
    }
  },
}

/** One more task of the service outweighs any share. */
const ONE_TASK = 1024
const SHARE_MAX = 1023
