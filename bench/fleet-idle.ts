/** What a thousand agents cost the coordinator when nothing happens: a heartbeat each a second. */
import { setTimeout as sleep } from 'node:timers/promises'
import { onStage } from './fleet/stage.ts'
import { cpuSeconds, residentBytes } from './fleet/usage.ts'
import type { Bench } from './report.ts'

const AGENTS = 1_000
const TASKS = 10_000
const SETTLE_MS = 10_000
const MEASURED_MS = Number(process.env.BENCH_SECONDS ?? 30) * 1000

export const bench: Bench = {
  about: `the coordinator's CPU and memory with ${AGENTS} agents and ${TASKS} tasks at one heartbeat a second`,
  async run({ report, say }) {
    await onStage({ agents: AGENTS, tasks: TASKS, say }, async ({ coordinator, fleet }) => {
      await sleep(SETTLE_MS)
      const pid = coordinator.pid()
      const [cpuBefore, began] = [cpuSeconds(pid), performance.now()]
      const framesBefore = fleet.open()
      await sleep(MEASURED_MS)
      const seconds = (performance.now() - began) / 1000
      const share = ((cpuSeconds(pid) - cpuBefore) / seconds) * 100
      if (Math.min(framesBefore, fleet.open()) < AGENTS)
        throw new Error(`${fleet.open()} of ${AGENTS} agents were connected`)
      report({
        metric: `CPU with ${AGENTS} agents at 1 Hz`,
        value: share,
        unit: 'percent of a core',
        goal: { atMost: 5 },
      })
      report({ metric: `memory with ${AGENTS} agents, ${TASKS} tasks`, value: residentBytes(pid) / 1e6, unit: 'MB' })
    })
  },
}
