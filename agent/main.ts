/** The agent's process: joins its parts and runs them until told to stop. Containers go on afterwards. */
import { uptime } from 'node:os'
import pino from 'pino'
import version from '../package.json' with { type: 'json' }
import { systemClock } from '../shared/clock.ts'
import type { Owner } from './decide/container.ts'
import { connectEngine, type Engine } from './docker/engine.ts'
import { holdFolder } from './hold-folder.ts'
import { compileFromNowOn } from './host/flood.ts'
import { createReadInventory } from './host/inventory.ts'
import { createLoadMeter } from './host/load-meter.ts'
import { LogShipping } from './host/log-shipping.ts'
import { createLogTail } from './host/log-tail.ts'
import { createLink } from './link/link.ts'
import type { AgentOptions } from './options.ts'
import type { Supervisor } from './parts.ts'
import { createSupervisor } from './supervisor.ts'

/**
 * Resolves when aborted. The supervisor acts on the assignment on the disk at once, whether or not there is a coordinator.
 * @throws BerthError when this host cannot join: no token, a wrong one, a name that is taken; `conflict` when another agent has the folder
 */
export async function runAgent(options: AgentOptions, signal: AbortSignal): Promise<void> {
  const log = pino({ level: options.logLevel, base: { node: options.node } }, pino.destination({ dest: 2, sync: true }))
  const release = await holdFolder(options.dataDir, systemClock, log, signal)
  if (release === null) return
  const engine = connectEngine({ host: options.engineHost })
  const stop = new AbortController()
  const both = AbortSignal.any([signal, stop.signal])
  const { dataDir, pullStallMs } = options
  /** Whose containers this agent looks after: known once this host has joined. */
  const owner = Promise.withResolvers<Owner>()
  // The kernel's own count of seconds, so that a clock that was set since does not matter much.
  const bootedAt = systemClock.now() - uptime() * 1000
  const supervisor: ReturnType<typeof createSupervisor> = createSupervisor({
    engine,
    owner: owner.promise,
    dataDir,
    pullStallMs,
    bootedAt,
    lastWords: (container) => logShipper.lastWords(container),
    log,
  })
  const logShipper = new LogShipping({
    containers: () => supervisor.containers(),
    engineLogs: engine.logs.bind(engine),
    notice: (code, message, task) => supervisor.tell({ code, message, task }),
    flooded: compileFromNowOn,
    now: systemClock.now,
  })
  supervisor.onChange(() => logShipper.containersChanged())
  const loadMeter = createLoadMeter({ diskPath: dataRootOf(engine, supervisor), hostCgroup: options.hostCgroup })
  const link = createLink({
    options: { ...options, agentVersion: version.version },
    supervisor,
    logTail: createLogTail({ containers: () => supervisor.containers(), engineLogs: engine.logs.bind(engine) }),
    logShipper,
    loadMeter,
    inventory: createReadInventory({
      engineLabels: () => engine.engineLabels(),
      dataRoot: () => engine.dataRoot(),
      resources: options.resources,
      hostCgroup: options.hostCgroup,
    }),
    log,
    clock: systemClock,
    random: Math.random,
    onIdentity: ({ cluster, node }) => owner.resolve({ cluster, node }),
  })
  log.info({ engine: engine.place, coordinator: options.coordinator }, `agent of node ${options.node} starts`)
  try {
    // Either ends only with the other: an agent without its link is deaf, one without its supervisor is lame.
    const containers = () => supervisor.containers()
    await Promise.all([supervisor.run(both), link.run(both), loadMeter.run(containers, systemClock, both)])
  } finally {
    stop.abort()
    logShipper.close()
    loadMeter.close()
    engine.close()
    release()
  }
}

/** The folder in which the Engine keeps its data: asked for whenever it comes up, since it may be another one then. */
function dataRootOf(engine: Engine, supervisor: Supervisor): () => string {
  let path = '/'
  let wasUp = false
  supervisor.onChange(({ engine: { state } }) => {
    if (state === 'up' && !wasUp) {
      engine.dataRoot().then(
        (found) => {
          path = found
        },
        // Until then the space of the whole host's root is told, as before the Engine was up.
        () => {},
      )
    }
    wasUp = state === 'up'
  })
  return () => path
}
