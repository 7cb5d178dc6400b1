/** The agent's process: joins its parts and runs them until told to stop. Containers go on afterwards. */
import pino from 'pino'
import version from '../package.json' with { type: 'json' }
import { type Clock, systemClock } from '../shared/clock.ts'
import type { Owner } from './decide/container.ts'
import { connectEngine } from './docker/engine.ts'
import { createReadInventory } from './host/inventory.ts'
import { createLoadMeter } from './host/load-meter.ts'
import { createLogTail } from './host/log-tail.ts'
import { loadIdentity } from './link/identity.ts'
import { createLink } from './link/link.ts'
import type { AgentOptions } from './options.ts'
import { createSupervisor } from './supervisor.ts'

/** How soon a first join is noticed. */
const JOIN_LOOK_MS = 100

/**
 * Resolves when aborted. The supervisor acts on the assignment on the disk at once, whether or not there is a coordinator.
 * @throws BerthError when this host cannot join: no token, a wrong one, a name that is taken
 */
export async function runAgent(options: AgentOptions, signal: AbortSignal): Promise<void> {
  const log = pino({ level: options.logLevel, base: { node: options.node } }, pino.destination({ dest: 2, sync: true }))
  const engine = connectEngine({ host: options.engineHost })
  const stop = new AbortController()
  const both = AbortSignal.any([signal, stop.signal])
  const owner = ownerOf(options.dataDir, systemClock, both)
  const { dataDir, pullStallMs } = options
  const supervisor = createSupervisor({ engine, owner, dataDir, pullStallMs, log })
  const loadMeter = createLoadMeter()
  const link = createLink({
    options: { ...options, agentVersion: version.version },
    supervisor,
    logTail: createLogTail({ containers: () => supervisor.containers(), engineLogs: engine.logs.bind(engine) }),
    loadMeter,
    inventory: createReadInventory({ engineLabels: () => engine.engineLabels() }),
    log,
    clock: systemClock,
    random: Math.random,
  })
  log.info({ engine: engine.place, coordinator: options.coordinator }, `agent of node ${options.node} starts`)
  try {
    // Either ends only with the other: an agent without its link is deaf, one without its supervisor is lame.
    await Promise.all([supervisor.run(both), link.run(both)])
  } finally {
    stop.abort()
    loadMeter.close()
    engine.close()
  }
}

/** Whose containers this agent looks after: known from the identity, which the link keeps once this host has joined. */
async function ownerOf(dataDir: string, clock: Clock, signal: AbortSignal): Promise<Owner> {
  for (;;) {
    const identity = await loadIdentity(dataDir)
    if (identity) return { cluster: identity.cluster, node: identity.node }
    // Aborted: nobody waits for the answer any more.
    await clock.sleep(JOIN_LOOK_MS, signal).catch(() => new Promise<never>(() => {}))
  }
}
