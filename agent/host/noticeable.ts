/** Which containers a heartbeat names: those whose load an operator or the scheduler would now read differently. */
import type { ContainerLoad } from '../../shared/load.ts'

/** What was said of a container last, and in which sample. */
export type NamedLoad = { load: ContainerLoad; sample: number }

/** Small changes add up unseen; so each container is named at least every so many samples. */
export const NAMED_EVERY_SAMPLES = 30

/** `named` undefined: a new one, which is named at once. */
export function isToBeNamed(named: NamedLoad | undefined, load: ContainerLoad, sample: number): boolean {
  if (named === undefined) return true
  return sample - named.sample >= NAMED_EVERY_SAMPLES || isNoticeable(named.load, load)
}

/** Both an amount and a share must be passed: an idle container's 0.001 core doubling is as little news as 20 MiB of 60 GiB. */
export function isNoticeable(before: ContainerLoad, now: ContainerLoad): boolean {
  return (
    before.memoryBytesLimit !== now.memoryBytesLimit ||
    before.sampledBecause !== now.sampledBecause ||
    wantedPace(before) !== wantedPace(now) ||
    moved(before.cpuCoresUsed, now.cpuCoresUsed, CPU) ||
    moved(before.memoryBytesUsed, now.memoryBytesUsed, MEMORY) ||
    moved(before.cpuThrottledShare, now.cpuThrottledShare, THROTTLED) ||
    moved(before.networkReceiveBytesPerSecond, now.networkReceiveBytesPerSecond, NETWORK) ||
    moved(before.networkSendBytesPerSecond, now.networkSendBytesPerSecond, NETWORK) ||
    before.oomKills !== now.oomKills ||
    moved(before.blockReadBytesPerSecond, now.blockReadBytesPerSecond, BLOCK) ||
    moved(before.blockWriteBytesPerSecond, now.blockWriteBytesPerSecond, BLOCK) ||
    moved(before.healthCheckMs, now.healthCheckMs, HEALTH_CHECK) ||
    moved(before.processes, now.processes, PROCESSES)
  )
}

/** What the host's budget makes of it moves with every container that comes and goes. */
function wantedPace({ sampledEveryMs, sampledWantedMs }: ContainerLoad): number | undefined {
  return sampledWantedMs ?? sampledEveryMs
}

type Threshold = { amount: number; share: number }
const CPU: Threshold = { amount: 0.02, share: 0.1 }
const MEMORY: Threshold = { amount: 1024 * 1024, share: 0.02 }
const THROTTLED: Threshold = { amount: 0.05, share: 0.1 }
const NETWORK: Threshold = { amount: 10 * 1024, share: 0.25 }
const BLOCK: Threshold = { amount: 100 * 1024, share: 0.25 }
const HEALTH_CHECK: Threshold = { amount: 20, share: 0.5 }
const PROCESSES: Threshold = { amount: 2, share: 0.2 }

function moved(before: number | undefined, now: number | undefined, { amount, share }: Threshold): boolean {
  if (before === undefined || now === undefined) return before !== now
  const difference = Math.abs(now - before)
  return difference >= amount && difference >= share * before
}
