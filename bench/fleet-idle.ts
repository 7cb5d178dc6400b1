/**
 * What a thousand agents cost the coordinator when nothing happens: their heartbeats. Beside it the limit, a server that takes
 * the same frames over the same TLS websockets and forgets them; one a second each, also where agents are so many that Berth
 * asks them for fewer.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { withBareServer } from './fleet/bare.ts'
import { onStage } from './fleet/stage.ts'
import { cpuSeconds, residentBytes } from './fleet/usage.ts'
import { option } from './options.ts'
import type { Bench } from './report.ts'

const AGENTS = option('agents', 1_000)
const TASKS = option('tasks', 10_000)
const SETTLE_MS = 10_000
const MEASURED_MS = option('seconds', 30) * 1000

type Usage = { cpuPercent: number; memoryMb: number }

export const bench: Bench = {
  about: `the coordinator's CPU and memory with ${AGENTS} agents and ${TASKS} tasks at rest`,
  async run({ report, say }) {
    say(`${AGENTS} websockets to a bare server`)
    const raw = await withBareServer(AGENTS, usageOf)
    let berth: Usage | null = null
    await onStage({ agents: AGENTS, tasks: TASKS, say }, async ({ coordinator, fleet }) => {
      berth = await usageOf(coordinator.pid())
      if (fleet.open() < AGENTS) throw new Error(`only ${fleet.open()} of ${AGENTS} agents are connected`)
    })
    const { cpuPercent, memoryMb } = berth!
    const isLarge = AGENTS >= 10_000
    report({
      metric: `CPU with ${AGENTS} agents`,
      value: cpuPercent,
      unit: 'percent of a core',
      beside: { raw: raw.cpuPercent },
      goal: { atMost: isLarge ? 30 : 5 },
    })
    report({
      metric: `memory with ${AGENTS} agents, ${TASKS} tasks`,
      value: memoryMb,
      unit: 'MB',
      beside: { raw: raw.memoryMb },
      ...(isLarge && { goal: { atMost: 700 } }),
    })
  },
}

async function usageOf(pid: number): Promise<Usage> {
  await sleep(SETTLE_MS)
  const [cpuBefore, began] = [cpuSeconds(pid), performance.now()]
  await sleep(MEASURED_MS)
  const seconds = (performance.now() - began) / 1000
  return { cpuPercent: ((cpuSeconds(pid) - cpuBefore) / seconds) * 100, memoryMb: residentBytes(pid) / 1e6 }
}
