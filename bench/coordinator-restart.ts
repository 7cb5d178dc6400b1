/**
 * The coordinator is killed (-9) with a thousand agents connected and ten thousand tasks in its store: how soon it serves
 * again, and whether anything that it had acknowledged is missing. Clients change things all the time; the kills come at
 * random moments.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { chanceFrom } from '../test/build/chance.ts'
import type { CoordinatorProcess } from '../test/build/coordinator.ts'
import { nodeNames } from './fleet/fleet.ts'
import { onStage, statusOf } from './fleet/stage.ts'
import { option } from './options.ts'
import { type Bench, median, quantile } from './report.ts'

const AGENTS = option('agents', 1_000)
const TASKS = option('tasks', 10_000)
const KILLS = option('kills', 100)
/** Of the moments of the kills, so that 100 kills may be run in pieces. */
const SEED = option('seed', 1)
const CLIENTS = 4
const LABEL = 'bench'
/** Random, between these, so that kills meet flushes in every state. */
const PAUSE_MS_MIN = 50
const PAUSE_MS_MAX = 600
/** Every so often all agents are waited for, to see how long they take. */
const AGENTS_EVERY = 10
const AGENTS_LIMIT_MS = 60_000

/** One client sets one label of its own node to 1, 2, 3, …: what was answered last, and what was asked for last. */
type Client = { node: string; acknowledged: number; asked: number }

export const bench: Bench = {
  about: `kill -9 with ${AGENTS} agents and ${TASKS} tasks: time to serve, and what is lost in ${KILLS} kills`,
  async run({ report, say }) {
    await onStage({ agents: AGENTS, tasks: TASKS, say }, async ({ coordinator, fleet }) => {
      const servingMs: number[] = []
      const agentsMs: number[] = []
      const clients = nodeNames(CLIENTS).map((node): Client => ({ node, acknowledged: 0, asked: 0 }))
      const chance = chanceFrom(SEED)
      let lost = 0
      let changes = 0
      for (let kill = 1; kill <= KILLS; kill++) {
        const stop = { now: false }
        const working = clients.map((client) => change(coordinator, client, stop))
        await sleep(PAUSE_MS_MIN + chance() * (PAUSE_MS_MAX - PAUSE_MS_MIN))
        const revision = await acknowledgedRevision(coordinator)
        const began = performance.now()
        await coordinator.kill()
        stop.now = true
        await coordinator.start()
        const status = await statusOf(coordinator)
        servingMs.push(performance.now() - began)
        await Promise.all(working)
        if (status.revision < revision) lost++
        for (const client of clients) {
          const found = Number(status.nodes.find(({ name }) => name === client.node)?.labels[LABEL] ?? 0)
          if (found < client.acknowledged || found > client.asked) lost++
          changes += found
          client.acknowledged = client.asked = found
        }
        if (totalOf(status.totals.tasks) < TASKS) lost++
        if (kill % AGENTS_EVERY === 0) {
          await fleet.untilOpen(AGENTS, AGENTS_LIMIT_MS)
          agentsMs.push(performance.now() - began)
          say(
            `${kill} kills, last served after ${Math.round(servingMs.at(-1)!)} ms, agents back after ${Math.round(agentsMs.at(-1)!)} ms`,
          )
        }
      }
      if (changes === 0) throw new Error('no change was ever acknowledged: nothing was tested')
      report({ metric: 'kill -9 to serving, median', value: median(servingMs), unit: 'ms', goal: { atMost: 1000 } })
      report({ metric: 'kill -9 to serving, worst', value: Math.max(...servingMs), unit: 'ms' })
      report({ metric: 'kill -9 to serving, p99', value: quantile(servingMs, 0.99), unit: 'ms' })
      if (agentsMs.length > 0) {
        report({ metric: 'kill -9 to all agents connected, median', value: median(agentsMs), unit: 'ms' })
      }
      report({ metric: `acknowledged and lost in ${KILLS} kills`, value: lost, unit: 'count', goal: { atMost: 0 } })
    })
  },
}

async function change({ ask }: CoordinatorProcess, client: Client, stop: { now: boolean }): Promise<void> {
  while (!stop.now) {
    client.asked++
    const body = { set: { [LABEL]: String(client.asked) } }
    const answer = await ask('PUT', `/v1/nodes/${client.node}/labels`, body).catch(() => null)
    if (answer === null) return
    if (answer.status !== 200) throw new Error(`a change was refused: ${JSON.stringify(answer.body)}`)
    client.acknowledged = client.asked
  }
}

/** The revision of a change that has been answered; 0 when the answer does not come. */
async function acknowledgedRevision({ ask }: CoordinatorProcess): Promise<number> {
  const body = { set: { [`${LABEL}-last`]: String(Math.random()) } }
  const answer = await ask('PUT', `/v1/nodes/${nodeNames(CLIENTS + 1).at(-1)}/labels`, body).catch(() => null)
  return answer?.status === 200 ? (answer.body as { revision: number }).revision : 0
}

function totalOf(counts: Record<string, number>): number {
  return Object.values(counts).reduce((total, count) => total + count, 0)
}
