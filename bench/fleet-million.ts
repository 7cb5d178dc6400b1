/**
 * A million tasks are asked for at once on five thousand simulated agents: how soon that is durable, how soon all of them run, and
 * what the coordinator is like meanwhile: its memory, how long its one thread keeps others waiting, how long `/status` takes.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { StatusDocument } from '../shared/api.ts'
import type { CoordinatorProcess } from '../test/build/coordinator.ts'
import { LIFELIKE, STEADY } from './fleet/life.ts'
import { ask, onStage } from './fleet/stage.ts'
import { cpuSeconds, peakResidentBytes } from './fleet/usage.ts'
import { option } from './options.ts'
import { type Bench, quantile } from './report.ts'

const AGENTS = option('agents', 5_000)
const TASKS = option('tasks', 1_000_000)
const LIFE = option('lifelike', 0) > 0 ? { ...LIFELIKE, seed: option('seed', 1) } : STEADY
const LIMIT_MS = option('limit-seconds', 600) * 1000
const LOOK_MS = 500
/** As Prometheus does where it is in a hurry. Of shorter spans the worst delay and the 99th percentile are one. */
const SCRAPE_MS = 5_000
const SAID_EVERY = 50_000
/** What a coordinator does once after its start, when it has a quiet second, is not what is measured. */
const SETTLE_MS = 8_000

export const bench: Bench = {
  about: `${TASKS} tasks asked for at once on ${AGENTS} agents: time to durable and running, memory and delays meanwhile`,
  async run({ report, say }) {
    await onStage({ agents: AGENTS, tasks: 0, life: LIFE, say }, async ({ coordinator, fleet }) => {
      await sleep(SETTLE_MS)
      const looking: Looking = { now: true, tasks: null, statusMs: [], delayMs: [] }
      const looked = look(coordinator, looking)
      const [began, cpuBefore] = [performance.now(), cpuSeconds(coordinator.pid())]
      const durable = await ask(coordinator, TASKS, (asked) => {
        const ms = performance.now() - began
        if (asked % SAID_EVERY === 0)
          say(`${asked} durable after ${Math.round(ms)} ms, ${JSON.stringify(looking.tasks)}`)
        return ms > LIMIT_MS
      })
      const durableMs = performance.now() - began
      say(`${durable} asked for and durable after ${Math.round(durableMs)} ms`)
      const running = await untilRunning(looking, began, say)
      const cpu = cpuSeconds(coordinator.pid()) - cpuBefore
      looking.now = false
      await looked
      say(`the agents have started ${fleet.running()} containers`)
      report({ metric: 'asked for and durable', value: durable, unit: 'count', goal: { atLeast: TASKS } })
      report({ metric: 'these durable', value: durableMs / 1000, unit: 's', goal: { atMost: 10 } })
      report({ metric: 'all of them running', value: running.ms / 1000, unit: 's', goal: { atMost: 60 } })
      report({ metric: 'running at the end', value: running.count, unit: 'count', goal: { atLeast: TASKS } })
      report({ metric: "the coordinator's CPU time, all threads", value: cpu, unit: 's' })
      report({
        metric: "the coordinator's memory at its highest",
        value: peakResidentBytes(coordinator.pid()) / 1e6,
        unit: 'MB',
        goal: { atMost: 2147 },
      })
      report({
        metric: "event loop's delay, p99, worst scrape",
        value: Math.max(...looking.delayMs),
        unit: 'ms',
        goal: { atMost: 100 },
      })
      report({
        metric: `/status, p99 of ${looking.statusMs.length}`,
        value: quantile(looking.statusMs, 0.99),
        unit: 'ms',
        goal: { atMost: 50 },
      })
      report({ metric: '/status, median', value: quantile(looking.statusMs, 0.5), unit: 'ms' })
    })
  },
}

type Looking = {
  now: boolean
  tasks: StatusDocument['totals']['tasks'] | null
  statusMs: number[]
  delayMs: number[]
}

async function untilRunning(looking: Looking, began: number, say: (text: string) => void) {
  for (let looks = 0; ; looks++) {
    const ms = performance.now() - began
    const count = looking.tasks?.running ?? 0
    if (count >= TASKS || ms > LIMIT_MS) return { ms, count }
    if (looks % 10 === 0) say(`${Math.round(ms / 1000)} s: ${JSON.stringify(looking.tasks)}`)
    await sleep(LOOK_MS)
  }
}

/** Asks as operators and Prometheus do. */
async function look(coordinator: CoordinatorProcess, looking: Looking): Promise<void> {
  // What was before is not of this.
  await delayOf(coordinator)
  let scrapedAt = performance.now()
  while (looking.now) {
    const began = performance.now()
    const status = await coordinator.ask('GET', '/status')
    if (status.status === 200) {
      looking.statusMs.push(performance.now() - began)
      looking.tasks = (status.body as StatusDocument).totals.tasks
    }
    if (performance.now() - scrapedAt > SCRAPE_MS) {
      scrapedAt = performance.now()
      looking.delayMs.push(await delayOf(coordinator))
    }
    await sleep(LOOK_MS)
  }
  looking.delayMs.push(await delayOf(coordinator))
}

/** Since it was asked last. */
async function delayOf(coordinator: CoordinatorProcess): Promise<number> {
  const { body } = await coordinator.ask('GET', '/metrics')
  const p99 = /^berth_event_loop_delay_seconds\{[^}]*percentile="99"[^}]*\} (\S+)$/m.exec(String(body))?.[1]
  return Number(p99) * 1000
}
