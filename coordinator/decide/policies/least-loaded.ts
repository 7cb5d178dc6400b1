import {
  BUSIEST_LOAD,
  CPU_LOAD,
  LOAD_PER_BYTE,
  LOAD_PER_CORE,
  MEMORY_LOAD,
  type Policy,
  PRESSURE,
  ROW,
} from './policy.ts'
import { busiestAfter } from './shares.ts'

/**
 * By measured use: the node whose recent peak leaves most headroom once the task is there, over the scarcer of CPU and
 * memory, plus the share of the time in which something waits there already. The peak is a decayed percentile
 * (`load-history.ts`), not the last sample. Tasks that the peak does not show yet, being placed a moment ago, count with
 * what they are assumed to need: a burst of placements does not chase the one node that looked idle before it.
 */
export const leastLoaded: Policy = {
  name: 'least-loaded',
  reads: [CPU_LOAD, MEMORY_LOAD, BUSIEST_LOAD, LOAD_PER_CORE, LOAD_PER_BYTE, PRESSURE],
  scores({ low }, list, from, to, need, into) {
    for (let at = from; at < to; at++) {
      const row = list[at]! * ROW
      into[at - from] = busiestAfter(low, row, need) + low[row + PRESSURE]!
    }
  },
  parts({ low }, node, { cpuCores, memoryBytes }) {
    const row = node * ROW
    return {
      cpuLoadAfter: low[row + CPU_LOAD]! + cpuCores * low[row + LOAD_PER_CORE]!,
      memoryLoadAfter: low[row + MEMORY_LOAD]! + memoryBytes * low[row + LOAD_PER_BYTE]!,
      pressure: low[row + PRESSURE]!,
    }
  },
}
