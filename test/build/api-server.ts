/**
 * The real API on a real https port, over a cluster on a virtual clock: the real apply, admit and decide, and agents that obey.
 * While a test runs, its time passes much faster than ours.
 */
import type { AddressInfo } from 'node:net'
import { onTestFinished } from 'vitest'
import { createApi } from '../../coordinator/api/api.ts'
import type { StreamLimits } from '../../coordinator/api/stream.ts'
import { openAuditLog } from '../../coordinator/audit/audit-log.ts'
import type { Core } from '../../coordinator/core.ts'
import { admit } from '../../coordinator/decide/admit.ts'
import type { Forwarding } from '../../coordinator/forwarding/forwarding.ts'
import type { Journal } from '../../coordinator/journal/journal.ts'
import { sieving } from '../../coordinator/logs/sieving.ts'
import type { MetricsHistory } from '../../coordinator/metrics-store/history.ts'
import { type OpenedSecurity, openSecurity } from '../../coordinator/security/open.ts'
import { createMemoryStore } from '../../coordinator/store/memory.ts'
import type { EventRecord } from '../../coordinator/world.ts'
import { BerthError } from '../../shared/errors.ts'
import { aCluster, beat, type Cluster, change, run } from './cluster.ts'
import { aLogReader, type FakeLogs } from './log-reader.ts'
import { temporaryFolder } from './temporary-folder.ts'

export type ApiServer = {
  url: string
  dir: string
  token: string
  ca: string
  cluster: Cluster
  security: OpenedSecurity
  events: EventRecord[]
  tell(event: Omit<EventRecord, 'number'>): void
  /** As the history does once it has too many. */
  dropEvents(count: number): void
  /** What tasks have written. */
  logs: FakeLogs
  /** How many listen for events as they come. */
  readonly listeners: number
  /** How many look at the world after each beat, as open answers of progress do. */
  readonly watchers: number
  /** As after a beat that changed something. */
  beat(): void
  /** Stops the cluster's time. */
  pause(): void
  resume(): void
  close(): Promise<void>
  /** What `berth` needs to reach it, with a home of its own. */
  env(): Promise<NodeJS.ProcessEnv>
}

const tickMs = 5
const virtualStepMs = 500

export type ApiServerOptions = {
  streams?: Partial<StreamLimits>
  /** Of a server before, which this one comes after on the same port, with the same cluster and tokens. */
  before?: ApiServer
  /** Told of all that happens, and handed out. */
  journal?: Journal
  /** What was measured over time. */
  history?: Pick<MetricsHistory, 'store' | 'why'>
  forwarding?: Forwarding
}

export async function anApiServer(nodes: string[] = ['n1', 'n2'], options: ApiServerOptions = {}): Promise<ApiServer> {
  const { before } = options
  const dir = before?.dir ?? (await temporaryFolder())
  const security = await openSecurity({ dir, names: ['localhost', '127.0.0.1'], now: Date.now })
  const { journal } = options
  const cluster = before?.cluster ?? aCluster(nodes, journal && { recorder: journal })
  const events: EventRecord[] = before?.events ?? []
  const beats = new Set<() => void>()
  const eventListeners = new Set<(event: EventRecord) => void>()
  const logs = before?.logs ?? aLogReader()

  const core: Core = {
    get world() {
      return cluster.world
    },
    async submit(asked) {
      const admission = admit(cluster.world, asked)
      if (!admission.ok) throw new BerthError(admission.code, admission.message, { details: admission.details ?? {} })
      change(cluster, asked)
      return cluster.world.revision
    },
    observe: () => {},
    whenDurable: (callback) => callback(),
    onBeat(listener) {
      beats.add(listener)
      return () => beats.delete(listener)
    },
    events: {
      list: ({ after, limit }) =>
        after === undefined ? events.slice(-limit) : events.filter((event) => event.number > after).slice(0, limit),
      oldest: () => events[0]?.number ?? null,
      onEvent(listener) {
        eventListeners.add(listener)
        return () => eventListeners.delete(listener)
      },
    },
  }
  const api = createApi({
    core,
    logs: sieving(logs),
    security,
    metrics: { contentType: 'text/plain; version=0.0.4', metrics: async () => 'berth_nodes 2\n' },
    settings: { url: 'https://10.0.0.5:23784', startedAt: Date.now() - 60_000, storeBytes: () => 18 * 2 ** 20 },
    version: '0.1.0',
    journal: options.journal,
    audit: openAuditLog(createMemoryStore()),
    history: options.history,
    forwarding: options.forwarding,
    streams: options.streams,
  })
  await api.listen({ host: '127.0.0.1', port: before ? Number(new URL(before.url).port) : 0 })

  let isPaused = false
  const timer = setInterval(() => {
    if (isPaused) return
    beat(cluster)
    run(cluster, virtualStepMs, virtualStepMs)
    for (const listener of beats) listener()
  }, tickMs)
  let isClosed = false
  const close = async () => {
    if (isClosed) return
    isClosed = true
    clearInterval(timer)
    await api.close()
  }
  onTestFinished(close)

  const { port } = api.server.address() as AddressInfo
  const token = await operatorTokenIn(dir)
  const url = `https://127.0.0.1:${port}`
  return {
    url,
    dir,
    token,
    ca: security.caCertificatePem,
    cluster,
    security,
    events,
    dropEvents: (count) => void events.splice(0, count),
    tell(event) {
      const record = { ...event, number: events.length + 1 }
      events.push(record)
      for (const listener of eventListeners) listener(record)
    },
    logs,
    get listeners() {
      return eventListeners.size
    },
    get watchers() {
      return beats.size
    },
    beat() {
      for (const listener of beats) listener()
    },
    pause: () => {
      isPaused = true
    },
    resume: () => {
      isPaused = false
    },
    close,
    env: async () => envOf(url, token, security.caCertificatePem),
  }
}

async function envOf(url: string, token: string, ca: string): Promise<NodeJS.ProcessEnv> {
  const { writeFile } = await import('node:fs/promises')
  const home = await temporaryFolder()
  const caPath = `${home}/ca.crt`
  await writeFile(caPath, ca)
  return { PATH: process.env.PATH, HOME: home, NO_COLOR: '1', BERTH_URL: url, BERTH_TOKEN: token, BERTH_CA: caPath }
}

async function operatorTokenIn(dir: string): Promise<string> {
  const { readFile } = await import('node:fs/promises')
  return (await readFile(`${dir}/operator-token`, 'utf8')).trim()
}
