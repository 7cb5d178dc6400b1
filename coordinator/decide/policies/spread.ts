import type { Figures, Need, Policy } from './policy.ts'

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
    for (let at = from; at < to; at++) {
      const index = list[at]!
      into[at - from] = nodes.ownTasks.low[index]! * ONE_TASK + Math.min(SHARE_MAX, shareWith(nodes, index, need))
    }
  },
  parts: (nodes, index, need) => ({
    tasksOfService: nodes.ownTasks.low[index]!,
    shareAfter: shareWith(nodes, index, need),
    cpuShare: nodes.cpuShare.low[index]!,
    memoryShare: nodes.memoryShare.low[index]!,
  }),
}

/** One more task of the service outweighs any share. */
const ONE_TASK = 1024
const SHARE_MAX = 1023

function shareWith(nodes: Figures, index: number, need: Need): number {
  const cpuMore = need.cpuCores * nodes.sharePerCore.low[index]!
  const memoryMore = need.memoryBytes * nodes.sharePerByte.low[index]!
  const cpu = nodes.cpuShare.low[index]! + cpuMore
  const memory = nodes.memoryShare.low[index]! + memoryMore
  const share = Math.max(cpu, memory)
  // Says nothing new of a node, but of a block: its least CPU share and its least memory share may be of two nodes.
  const least = nodes.scarcestShare.low[index]! + Math.min(cpuMore, memoryMore)
  return Math.max(share, least)
}
