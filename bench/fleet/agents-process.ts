/**
 * A process full of simulated agents. Started by fleet.ts with its order as the one argument; says through IPC how many
 * are connected and what runs. Every agent has the real link: its own key, certificate and TLS websocket.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createLink, type RunningLink } from '../../agent/link/link.ts'
import type { Supervisor } from '../../agent/parts.ts'
import { systemClock } from '../../shared/clock.ts'
import type { Log } from '../../shared/log.ts'
import { draw, type Life, skewed, waitMs } from './life.ts'
import { noLogTail, simulatedInventory, simulatedLoadMeter, simulatedSupervisor } from './simulated-parts.ts'

export type AgentsOrder = {
  names: string[]
  coordinator: string
  tokenPath: string
  dataDir: string
  life: Life
}
export type AgentsReport = { open: number; running: number; failed: string | null }

const REPORT_MS = 50
/** Starting all at once would make a thousand keys in one turn. */
const START_APART_MS = 5

const order = JSON.parse(process.argv[2]!) as AgentsOrder
const quietLog: Log = { debug() {}, info() {}, warn() {}, error() {} }
const stopping = new AbortController()
const links = new Map<string, RunningLink>()
let failed: string | null = null
let running = 0

process.on('disconnect', () => process.exit(0))
process.on('SIGTERM', () => stopping.abort())
setInterval(() => {
  const open = [...links.values()].filter((link) => link.state.name === 'open').length
  process.send?.({ open, running, failed } satisfies AgentsReport)
}, REPORT_MS)

for (const name of order.names) {
  void liveAgent(name)
  await systemClock.sleep(START_APART_MS)
}

/** One agent after the other of this name; the containers of the first are those of the last. */
async function liveAgent(name: string): Promise<void> {
  const { life } = order
  const supervisor = simulatedSupervisor(life)
  supervisor.onChange(({ tasks }) => {
    running += tasks.filter((task) => task.state === 'running').length
  })
  for (let start = 1; !stopping.signal.aborted; start++) {
    const restarting = new AbortController()
    const livesMs = waitMs(life.agentRestartsPerHour, draw(life.seed, name, start, 'lives'))
    if (livesMs !== null) systemClock.after(livesMs, () => restarting.abort())
    await runAgent(name, supervisor, AbortSignal.any([stopping.signal, restarting.signal]))
    await systemClock.sleep(skewed(life.agentAwayMs, draw(life.seed, name, start, 'away')))
  }
}

async function runAgent(name: string, supervisor: Supervisor, signal: AbortSignal): Promise<void> {
  const inventory = simulatedInventory(name)
  const link = createLink({
    options: {
      coordinator: order.coordinator,
      node: name,
      dataDir: join(order.dataDir, name),
      labels: {},
      agentVersion: '0.1.0',
      joinToken: () => readFileSync(order.tokenPath, 'utf8').trim(),
    },
    supervisor,
    logTail: noLogTail,
    loadMeter: simulatedLoadMeter(order.life, name),
    inventory: async () => inventory,
    log: quietLog,
    clock: systemClock,
    random: Math.random,
  })
  links.set(name, link)
  await link.run(signal).catch((error: unknown) => {
    failed = `${name}: ${String(error)}`
  })
}
