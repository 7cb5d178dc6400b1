/** The agent's load meter in a process of its own, on containers that run: how even its steps are and what they cost. */
import { setImmediate, setTimeout as sleep } from 'node:timers/promises'
import { createLoadMeter } from '../../agent/host/load-meter.ts'
import type { ContainerHandle } from '../../agent/parts.ts'

/**
 * `all`: every container in each sample, and one sample each `everyMs`; else at paces of their own, in time that goes by as fast as
 * it is sampled, a second each. `warmSamples` are not counted.
 */
export type MeterOrder = {
  handles: ContainerHandle[]
  all: boolean
  everyMs: number
  warmSamples: number
  samples: number
}
export type MeterResult = { longestStepMs: number; fewestContainers: number; cpuSecondsPerSample: number }

const SECOND_MS = 1_000
const order = JSON.parse(process.argv[2]!) as MeterOrder
let virtualMs = 0
const meter = createLoadMeter(order.all ? {} : { now: () => virtualMs })
const result: MeterResult = { longestStepMs: 0, fewestContainers: Number.MAX_SAFE_INTEGER, cpuSecondsPerSample: 0 }
let [lastAt, cpuBefore] = [performance.now(), process.cpuUsage()]

for (let sample = -order.warmSamples; sample < order.samples; sample++) {
  if (sample === 0) cpuBefore = process.cpuUsage()
  const now = performance.now()
  // What is not worth naming is left out otherwise, though it was looked at.
  const { containers } = meter.sample(order.handles, { all: order.all })
  virtualMs += SECOND_MS
  if (sample > 0) {
    result.longestStepMs = Math.max(result.longestStepMs, now - lastAt)
    result.fewestContainers = Math.min(result.fewestContainers, containers.length)
  }
  lastAt = now
  if (order.all) await sleep(Math.max(0, now + order.everyMs - performance.now()))
  else await setImmediate()
}
const { user, system } = process.cpuUsage(cpuBefore)
result.cpuSecondsPerSample = (user + system) / 1e6 / order.samples
process.send!(result)
process.disconnect()
