import type { Policy } from './policy.ts'
import { busiestAfter } from './shares.ts'

/**
 * By measured use: the node whose recent peak leaves most headroom once the task is there, over the scarcer of CPU and
 * memory, plus the share of the time in which something waits there already. The peak is a decayed percentile
 * (`load-history.ts`), not the last sample. Tasks that the peak does not show yet, being placed a moment ago, count with
 * what they are assumed to need: a burst of placements does not chase the one node that looked idle before it.
 */
export const leastLoaded: Policy = {
  name: 'least-loaded',
  reads: { low: ['cpuLoad', 'memoryLoad', 'busiestLoad', 'loadPerCore', 'loadPerByte', 'pressure'], high: [] },
  scores({ low }, list, from, to, need, into) {
    for (let at = from; at < to; at++) {
      const node = list[at]!
      into[at - from] = busiestAfter(low, node, need) + low.pressure[node]!
    }
  },
  shape: (figures, node) => figures.cpuLoad[node]! - figures.memoryLoad[node]!,
  parts({ low }, node, { cpuCores, memoryBytes }) {
    return {
      cpuLoadAfter: low.cpuLoad[node]! + cpuCores * low.loadPerCore[node]!,
      memoryLoadAfter: low.memoryLoad[node]! + memoryBytes * low.loadPerByte[node]!,
      pressure: low.pressure[node]!,
    }
  },
}
