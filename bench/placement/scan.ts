/** The limit: looking at every node for every task, as plain as it can be written. Best fit over two resources. */
import { diceFrom } from '../../test/build/chance.ts'
import { median } from '../report.ts'

export function scansPerSecond(nodes: number): number {
  const dice = diceFrom(3)
  const cpu = Float64Array.from({ length: nodes }, () => dice.share() * 16)
  const memory = Float64Array.from({ length: nodes }, () => dice.share() * 64)
  const rates: number[] = []
  for (let round = 0; round < 6; round++) {
    const scans = 20_000
    let sum = 0
    const began = performance.now()
    for (let scan = 0; scan < scans; scan++) sum += bestOf(cpu, memory, (scan % 16) * 0.1, (scan % 7) * 0.5)
    const seconds = (performance.now() - began) / 1000
    if (sum < 0) throw new Error('no node fitted')
    if (round > 0) rates.push(scans / seconds)
  }
  return median(rates)
}

function bestOf(cpu: Float64Array, memory: Float64Array, cpuNeeded: number, memoryNeeded: number): number {
  let best = -1
  let bestLeft = Number.POSITIVE_INFINITY
  for (let index = 0; index < cpu.length; index++) {
    const cpuLeft = cpu[index]! - cpuNeeded
    const memoryLeft = memory[index]! - memoryNeeded
    if (cpuLeft < 0 || memoryLeft < 0) continue
    const left = cpuLeft + memoryLeft
    if (left < bestLeft) {
      bestLeft = left
      best = index
    }
  }
  return best
}
