/**
 * The coordinator is killed (kill -9) under a fleet: how long until every agent is connected again, and whether any node was
 * given up meanwhile. Agents are simulated, their TLS websockets are real; they share the machine with the coordinator, so their
 * side of each handshake is in the figure.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { onStage, statusOf } from './fleet/stage.ts'
import { option } from './options.ts'
import { type Bench, median } from './report.ts'

const AGENTS = option('agents', 10_000)
const TASKS = option('tasks', 10_000)
const ROUNDS = option('rounds', 3)
const LIMIT_MS = 60_000
/** Statuses are reported by the agents' processes a moment late: what was still open when the coordinator died must be gone. */
const NOTICED_MS = 200
const LOOK_MS = 250

export const bench: Bench = {
  about: `kill -9 with ${AGENTS} agents: until all are connected again, and how many nodes were lost by it`,
  async run({ report, say }) {
    await onStage({ agents: AGENTS, tasks: TASKS, say }, async ({ coordinator, fleet }) => {
      const reconnectedMs: number[] = []
      let lostMost = 0
      for (let round = 1; round <= ROUNDS; round++) {
        const began = performance.now()
        await coordinator.kill()
        await sleep(NOTICED_MS)
        await coordinator.start()
        const looking = { now: true }
        const lost = lostWhile(looking, () => statusOf(coordinator))
        await fleet.untilOpen(AGENTS, LIMIT_MS)
        reconnectedMs.push(performance.now() - began)
        looking.now = false
        lostMost = Math.max(lostMost, await lost)
        say(`round ${round}: all connected after ${Math.round(reconnectedMs.at(-1)!)} ms`)
      }
      const seconds = reconnectedMs.map((ms) => ms / 1000)
      report({
        metric: `kill -9 to all ${AGENTS} connected, median`,
        value: median(seconds),
        unit: 's',
        goal: { atMost: 8 },
      })
      report({ metric: 'kill -9 to all connected, worst', value: Math.max(...seconds), unit: 's' })
      report({ metric: 'nodes lost by it', value: lostMost, unit: 'count', goal: { atMost: 0 } })
    })
  },
}

/** The most nodes that were lost at any look. */
async function lostWhile(looking: { now: boolean }, status: () => ReturnType<typeof statusOf>): Promise<number> {
  let most = 0
  while (looking.now) {
    const { nodes } = await status()
    most = Math.max(most, nodes.filter((node) => node.status === 'lost').length)
    await sleep(LOOK_MS)
  }
  return most
}
