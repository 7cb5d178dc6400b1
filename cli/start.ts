/** The one file that starts the coordinator, the agent or a replay within this process. */
import type { AgentFlags } from '../shared/agent-flags.ts'
import type { CoordinatorFlags } from './daemon-flags.ts'
import { onParentGone } from './lifeline.ts'
import { startAnewIfCold } from './start-anew.ts'

/** Serves until SIGTERM or SIGINT. */
export async function startCoordinator(flags: CoordinatorFlags): Promise<void> {
  const { coordinatorOptions } = await import('../coordinator/options.ts')
  const { runCoordinator } = await import('../coordinator/main.ts')
  const { data, listen, advertise, logLevel, checkTwice } = flags
  type Given = NonNullable<Parameters<typeof coordinatorOptions>[0]>
  const options = coordinatorOptions(
    definedOf<Given>({
      dataDir: data,
      host: listen?.host,
      port: listen?.port,
      advertise,
      heartbeatIntervalMs: flags.heartbeatInterval,
      startGraceMs: flags.startGrace,
      agentGraceMs: flags.agentGrace,
      goodbyeGraceMs: flags.goodbyeGrace,
      engineGraceMs: flags.engineGrace,
      journalBytes: flags.journalSize,
      logsBytes: flags.logsSize,
      logsAgeMs: flags.logsAge,
      metricsBytes: flags.metricsSize,
      metricsSeries: flags.metricsSeries,
      logLevel: logLevel as Given['logLevel'],
      checkTwice,
    }),
  )
  const coordinator = await runCoordinator(options, signalOfStop())
  await coordinator.ended
}

/** Runs until SIGTERM or SIGINT; containers go on. */
export async function startAgent(flags: AgentFlags, env: NodeJS.ProcessEnv): Promise<void> {
  const { agentOptions } = await import('../agent/options.ts')
  const { runAgent } = await import('../agent/main.ts')
  startAnewIfCold(env)
  await runAgent(agentOptions(flags, env), signalOfStop())
}

/** Judges a recording again; see coordinator/replay/main.ts. */
export async function startReplay(path: string, policy: string | undefined) {
  const { replay } = await import('../coordinator/replay/main.ts')
  return replay(path, policy)
}

/** Aborted by the first request to stop; the second ends the process as it would have without us. */
function signalOfStop(): AbortSignal {
  const stop = new AbortController()
  for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => stop.abort())
  onParentGone(() => stop.abort())
  return stop.signal
}

function definedOf<Value extends object>(value: { [Key in keyof Value]: Value[Key] | undefined }): Partial<Value> {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as Partial<Value>
}
