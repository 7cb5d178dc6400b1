/** An agent without an Engine whose containers' logs are files that were written before: the real link and the real shipping. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { compileFromNowOn } from '../../agent/host/flood.ts'
import { LogShipping } from '../../agent/host/log-shipping.ts'
import { createLink } from '../../agent/link/link.ts'
import { systemClock } from '../../shared/clock.ts'
import { STEADY } from '../fleet/life.ts'
import { noLogTail, simulatedInventory, simulatedLoadMeter, simulatedSupervisor } from '../fleet/simulated-parts.ts'

export type LogAgentOrder = { coordinator: string; tokenPath: string; dataDir: string; paths: string[] }

const NODE = 'sim-00001'
const order = JSON.parse(process.argv[2]!) as LogAgentOrder
process.on('disconnect', () => process.exit(0))

const supervisor = simulatedSupervisor(STEADY)
let mayShip = false
process.on('message', () => {
  mayShip = true
})
const link = createLink({
  options: {
    coordinator: order.coordinator,
    node: NODE,
    dataDir: join(order.dataDir, NODE),
    labels: {},
    agentVersion: '0.1.0',
    joinToken: () => readFileSync(order.tokenPath, 'utf8').trim(),
  },
  supervisor,
  logTail: noLogTail,
  logShipper: new LogShipping({
    containers: () => {
      const all = mayShip ? supervisor.containers() : []
      return all.map((handle, index) => ({ ...handle, pid: 1, logPath: order.paths[index] ?? null }))
    },
    notice: (code, message) => console.error(code, message),
    flooded: compileFromNowOn,
    now: systemClock.now,
  }),
  loadMeter: simulatedLoadMeter(STEADY, NODE),
  inventory: async () => simulatedInventory(NODE),
  log: { debug() {}, info() {}, warn: (_, text) => console.error(text), error: (_, text) => console.error(text) },
  clock: systemClock,
  random: Math.random,
})
await link.run(new AbortController().signal)
