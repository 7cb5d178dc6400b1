/** The agent's load meter in a process of its own, on containers that run: how even its steps are and what they cost. */
import { createLoadMeter } from '../../agent/host/load-meter.ts'
import type { ContainerHandle } from '../../agent/parts.ts'

export type MeterOrder = { handles: ContainerHandle[]; everyMs: number; samples: number }
export type MeterResult = { longestStepMs: number; fewestContainers: number; cpuSecondsPerSample: number }

const WARM_SAMPLES = 10
const order = JSON.parse(process.argv[2]!) as MeterOrder
const meter = createLoadMeter()
let samples = -WARM_SAMPLES
let [lastAt, cpuBefore] = [0, process.cpuUsage()]
const result: MeterResult = { longestStepMs: 0, fewestContainers: Number.MAX_SAFE_INTEGER, cpuSecondsPerSample: 0 }

const timer = setInterval(() => {
  const now = performance.now()
  // What is not worth naming is left out otherwise, though it was looked at.
  const { containers } = meter.sample(order.handles, { all: true })
  samples += 1
  if (samples === 0) cpuBefore = process.cpuUsage()
  if (samples > 0) {
    result.longestStepMs = Math.max(result.longestStepMs, now - lastAt)
    result.fewestContainers = Math.min(result.fewestContainers, containers.length)
  }
  lastAt = now
  if (samples < order.samples) return
  clearInterval(timer)
  const { user, system } = process.cpuUsage(cpuBefore)
  result.cpuSecondsPerSample = (user + system) / 1e6 / order.samples
  process.send!(result)
  process.disconnect()
}, order.everyMs)
