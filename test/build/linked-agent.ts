/** The agent's real link with parts beside it that do just what a test tells them. */
import { onTestFinished } from 'vitest'
import { createLink, type LinkOptions } from '../../agent/link/link.ts'
import type { AssignOutcome, LogSink, ObservedChange, Supervisor } from '../../agent/parts.ts'
import { type Instant, systemClock } from '../../shared/clock.ts'
import type { Assignment, AssignmentChange, LogAdd, LogOpen } from '../../shared/wire/down.ts'
import type { EngineInfo, LastMinute, NodeInventory, TaskObservation } from '../../shared/wire/up.ts'
import type { Door } from './coordinator-door.ts'
import { aFakeLog } from './fake-core.ts'
import { temporaryFolder } from './temporary-folder.ts'
import { aTaskObservation } from './wire.ts'
import { aHostLoad, anEngine, anInventory } from './world.ts'

export type FakeSupervisor = Omit<Supervisor, 'revision'> & {
  revision: number
  engine: EngineInfo
  tasks: TaskObservation[]
  assigned: (Assignment | AssignmentChange)[]
  outcome(message: Assignment | AssignmentChange): AssignOutcome
  engineIs(engine: EngineInfo): void
  /** A task is seen in this state. */
  see(observation: Partial<TaskObservation>): void
  notice(code: string): void
}

export function aFakeSupervisor(): FakeSupervisor {
  const changes = new Set<(change: ObservedChange) => void>()
  const notices = new Set<(notice: { code: string; message: string }) => void>()
  const supervisor: FakeSupervisor = {
    revision: 0,
    engine: anEngine(),
    tasks: [],
    assigned: [],
    outcome: () => ({ outcome: 'applied' }),
    run: async () => undefined,
    async assign(message: Assignment | AssignmentChange) {
      supervisor.assigned.push(message)
      const outcome = supervisor.outcome(message)
      if (outcome.outcome === 'applied') supervisor.revision = message.revision
      return outcome
    },
    observeAll: async (): Promise<ObservedChange> => ({ engine: supervisor.engine, tasks: supervisor.tasks, gone: [] }),
    onChange(listener: (change: ObservedChange) => void) {
      changes.add(listener)
      return () => changes.delete(listener)
    },
    onNotice(listener: (notice: { code: string; message: string }) => void) {
      notices.add(listener)
      return () => notices.delete(listener)
    },
    containers: () => [],
    engineIs(engine) {
      supervisor.engine = engine
      for (const listener of changes) listener({ engine, tasks: [], gone: [] })
    },
    see(observation) {
      const change = { engine: supervisor.engine, tasks: [aTaskObservation(observation)], gone: [] }
      for (const listener of changes) listener(change)
    },
    notice(code: string) {
      for (const listener of notices) listener({ code, message: code })
    },
  }
  return supervisor
}

export function aFakeLogTail() {
  const opened: { request: LogOpen; sink: LogSink }[] = []
  const added: LogAdd[] = []
  const closed: string[] = []
  return {
    opened,
    added,
    closed,
    open: (request: LogOpen, sink: LogSink) => void opened.push({ request, sink }),
    add: (request: LogAdd) => void added.push(request),
    close: (stream: string) => void closed.push(stream),
    closeAll: () => undefined,
  }
}

type AgentGiven = {
  random?: () => number
  now?: () => Instant
  engine?: EngineInfo
  engineLabels?: NodeInventory['engineLabels']
}

/** Runs until the test ends or `stop`. */
export async function aLinkedAgent(
  door: Pick<Door, 'url' | 'security'>,
  given: Partial<LinkOptions> & AgentGiven = {},
) {
  const { random = Math.random, now = systemClock.now, engine = anEngine(), engineLabels = {}, ...options } = given
  const supervisor = aFakeSupervisor()
  supervisor.engine = engine
  const logTail = aFakeLogTail()
  const log = aFakeLog()
  const samples: (boolean | undefined)[] = []
  /** By task and attempt: `web.1 1`. */
  const lastMinutes = new Map<string, LastMinute>()
  const identities: string[] = []
  const dataDir = options.dataDir ?? (await temporaryFolder())
  const link = createLink({
    options: {
      coordinator: door.url,
      node: 'web-1',
      dataDir,
      labels: {},
      agentVersion: '0.1.0',
      joinToken: () => door.security.joinToken(),
      ...options,
    },
    supervisor,
    logTail,
    loadMeter: {
      sample(_containers, { all } = {}) {
        samples.push(all)
        return { load: aHostLoad(), containers: [] }
      },
      lastMinute: (task, attempt) => lastMinutes.get(`${task} ${attempt}`) ?? null,
      devices: () => null,
      close: () => undefined,
    },
    // As the real one: an Engine that is down tells no labels.
    inventory: async () => anInventory(supervisor.engine.state === 'up' ? { engineLabels } : {}),
    log,
    clock: { ...systemClock, now },
    random,
    onIdentity: ({ cluster, node }) => void identities.push(`${cluster} ${node}`),
  })
  const stopping = new AbortController()
  const ran = link.run(stopping.signal).then(
    () => null,
    (error: unknown) => error,
  )
  async function stop() {
    stopping.abort()
    return ran
  }
  onTestFinished(() => stop().then(() => undefined))
  return { link, supervisor, logTail, log, samples, lastMinutes, identities, dataDir, ran, stop }
}
