import type { Policy } from './policy.ts'
import { fillBusiestAfter } from './shares.ts'

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
    fillBusiestAfter(nodes, list, from, to, need, into)
    const pressure = nodes.pressure.low
    for (let at = from; at < to; at++) into[at - from]! += pressure[list[at]!]!
  },
  parts({ cpuLoad, memoryLoad, loadPerCore, loadPerByte, pressure }, index, need) {
    return {
      cpuLoadAfter: cpuLoad.low[index]! + need.cpuCores * loadPerCore.low[index]!,
      memoryLoadAfter: memoryLoad.low[index]! + need.memoryBytes * loadPerByte.low[index]!,
      pressure: pressure.low[index]!,
    }
  },
}
