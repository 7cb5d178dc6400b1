import type { Figures, Need, Policy } from './policy.ts'

/**
 * By measured use: the node whose recent peak leaves most headroom once the task is there, over the scarcer of CPU and
 * memory, plus the share of the time in which something waits there already. The peak is a decayed percentile
 * (`load-history.ts`), not the last sample. Tasks that the peak does not show yet, being placed a moment ago, count with
 * what they are assumed to need: a burst of placements does not chase the one node that looked idle before it.
 */
export const leastLoaded: Policy = {
  name: 'least-loaded',
  reads: ['cpuLoad', 'memoryLoad', 'busiestLoad', 'loadPerCore', 'loadPerByte', 'pressure'],
  scores(nodes, list, from, to, need, into) {
    for (let at = from; at < to; at++) {
      const index = list[at]!
      into[at - from] = loadWith(nodes, index, need) + nodes.pressure.low[index]!
    }
  },
  parts: (nodes, index, need) => ({
    loadAfter: loadWith(nodes, index, need),
    cpuLoad: nodes.cpuLoad.low[index]!,
    memoryLoad: nodes.memoryLoad.low[index]!,
    pressure: nodes.pressure.low[index]!,
  }),
}

function loadWith(nodes: Figures, index: number, need: Need): number {
  const cpuMore = need.cpuCores * nodes.loadPerCore.low[index]!
  const memoryMore = need.memoryBytes * nodes.loadPerByte.low[index]!
  const cpu = nodes.cpuLoad.low[index]! + cpuMore
  const memory = nodes.memoryLoad.low[index]! + memoryMore
  const load = Math.max(cpu, memory)
  // As in spread: a bound for blocks.
  const least = nodes.busiestLoad.low[index]! + Math.min(cpuMore, memoryMore)
  return Math.max(load, least)
}
