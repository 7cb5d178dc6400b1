/**
 * A process full of simulated agents. Started by fleet.ts with its order as the one argument; says through IPC how many
 * are connected. Every agent has the real link: its own key, certificate and TLS websocket.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createLink, type RunningLink } from '../../agent/link/link.ts'
import { systemClock } from '../../shared/clock.ts'
import type { Log } from '../../shared/log.ts'
import {
  noLogTail,
  type SimulatedEngine,
  simulatedInventory,
  simulatedLoadMeter,
  simulatedSupervisor,
} from './simulated-parts.ts'

export type AgentsOrder = {
  names: string[]
  coordinator: string
  tokenPath: string
  dataDir: string
  engine: SimulatedEngine
}
export type AgentsReport = { open: number; running: number; failed: string | null }

const REPORT_MS = 50
/** Starting all at once would make a thousand keys in one turn. */
const START_APART_MS = 5

const order = JSON.parse(process.argv[2]!) as AgentsOrder
const quietLog: Log = { debug() {}, info() {}, warn() {}, error() {} }
const stopping = new AbortController()
const links: RunningLink[] = []
let failed: string | null = null
let running = 0

process.on('disconnect', () => process.exit(0))
process.on('SIGTERM', () => stopping.abort())
setInterval(() => {
  const open = links.filter((link) => link.state.name === 'open').length
  process.send?.({ open, running, failed } satisfies AgentsReport)
}, REPORT_MS)

for (const name of order.names) {
  startAgent(name)
  await systemClock.sleep(START_APART_MS)
}

function startAgent(name: string): void {
  const supervisor = simulatedSupervisor(order.engine)
  supervisor.onChange(({ tasks }) => {
    running += tasks.filter((task) => task.state === 'running').length
  })
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
    loadMeter: simulatedLoadMeter(Math.random),
    inventory: async () => inventory,
    log: quietLog,
    clock: systemClock,
    random: Math.random,
  })
  links.push(link)
  link.run(stopping.signal).catch((error: unknown) => {
    failed = `${name}: ${String(error)}`
  })
}
