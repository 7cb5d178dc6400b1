/** A coordinator, wired: security, store, world, loop, sessions, API, in the order in which each needs the one before. */
import { mkdirSync, readFileSync } from 'node:fs'
import type { Server } from 'node:https'
import { flushCompileCache } from 'node:module'
import { join } from 'node:path'
import pino, { type Logger } from 'pino'
import { systemClock } from '../shared/clock.ts'
import { BerthError } from '../shared/errors.ts'
import { createAlerter } from './alerts/alerter.ts'
import { deliver } from './alerts/deliver.ts'
import { openAlertFiles } from './alerts/files.ts'
import { type Api, createApi } from './api/api.ts'
import { installerRoutes } from './api/installer.ts'
import { loadCheckInput } from './api/load-check-input.ts'
import type { ApiSettings } from './api/parts.ts'
import { untilAtRest } from './at-rest.ts'
import { openAuditLog } from './audit/audit-log.ts'
import { createPort } from './connections/port.ts'
import { defaultSettings } from './decide/settings.ts'
import { openEventLog } from './events.ts'
import { openForwardingFiles } from './forwarding/files.ts'
import { openForwarding } from './forwarding/forwarding.ts'
import { FlightRecorder } from './incidents/flight-recorder.ts'
import { type Journal, openJournal } from './journal/journal.ts'
import { judgement } from './judgement.ts'
import { createKeptReader } from './logs/kept-reader.ts'
import { LogStore } from './logs/log-store.ts'
import { createLoop, type Loop } from './loop.ts'
import { createMetrics, type Metrics } from './metrics/metrics.ts'
import { type MetricsHistory, openMetricsHistory } from './metrics-store/history.ts'
import { type CoordinatorOptions, certificateNames, urlOf } from './options.ts'
import { openSecurity } from './security/open.ts'
import { createSessions, type Sessions } from './sessions/sessions.ts'
import { openLmdbStore } from './store/lmdb.ts'
import { loadWorld, WORLD_PREFIX } from './store/records.ts'
import type { Store } from './store/store.ts'
import type { Upkeep } from './upkeep.ts'

export type RunningCoordinator = {
  /** Where it serves; the port is the real one when 0 was asked for. */
  url: string
  cluster: string
  /** Resolves after a clean stop; rejects when the store cannot be trusted any more. */
  ended: Promise<void>
}

const ROOT = join(import.meta.dirname, '..')
/** How long a stop waits for requests that are being answered. */
const STOP_LIMIT_MS = 5_000
const LOAD_LATER_MS = 2_000
/** Of a fleet that never lets it rest. */
const FLUSH_LATER_MS_MAX = 60_000
const HOURLY = '17 * * * *'

/**
 * Resolves once it serves; stops when the signal is aborted. Containers and agents go on without it.
 * @throws BerthError `conflict` when the folder or the port is in use, `failed` when the folder is damaged
 */
export async function runCoordinator(options: CoordinatorOptions, signal: AbortSignal): Promise<RunningCoordinator> {
  const startedAt = systemClock.now()
  const log = pino({ level: options.logLevel, base: { part: 'coordinator' } }, pino.destination(2))
  mkdirSync(options.dataDir, { recursive: true, mode: 0o700 })
  // The store first: its lock keeps a second coordinator from touching anything in the folder.
  const store = await openLmdbStore({ dir: join(options.dataDir, 'store') })
  const opened: Opened = {
    store,
    metrics: null,
    sessions: null,
    api: null,
    upkeep: null,
    journal: null,
    alerting: null,
    forwarding: null,
    logStore: null,
    history: null,
    flightRecorder: null,
  }
  try {
    return await serve(options, opened, startedAt, log, signal)
  } catch (error) {
    await closeAll(opened)
    throw error
  }
}

type Opened = {
  store: Store
  metrics: Metrics | null
  sessions: Sessions | null
  api: Api | null
  upkeep: Upkeep | null
  journal: Journal | null
  /** Until what alerts have told is kept. */
  alerting: Promise<void> | null
  /** Until the positions of its targets are kept. */
  forwarding: Promise<void> | null
  logStore: LogStore | null
  history: MetricsHistory | null
  flightRecorder: FlightRecorder | null
}

async function serve(
  options: CoordinatorOptions,
  opened: Opened,
  startedAt: number,
  log: Logger,
  signal: AbortSignal,
): Promise<RunningCoordinator> {
  const { store } = opened
  const security = await openSecurity({
    dir: join(options.dataDir, 'security'),
    names: certificateNames(options),
    now: systemClock.now,
    log,
  })
  const metrics = createMetrics()
  opened.metrics = metrics
  const version = versionOf(ROOT)
  const journal = options.journalBytes === 0 ? null : openJournal(journalOptions(options, version, log))
  opened.journal = journal
  const flightRecorder = new FlightRecorder({
    dir: join(options.dataDir, 'incidents'),
    logs: () => logs,
    store,
    tell: (event) => loop.tell(event),
    put: (write) => loop.put(write),
    clock: systemClock,
    log,
  })
  opened.flightRecorder = flightRecorder
  const loop = createLoop({
    store,
    world: loadWorld(store.range(WORLD_PREFIX), security.cluster),
    events: openEventLog(store),
    judgement,
    settings: { ...defaultSettings(startedAt, options.heartbeatIntervalMs), ...gracesOf(options) },
    clock: systemClock,
    log,
    metrics,
    recorder: journal ?? undefined,
    flightRecorder,
    checkTwice: options.checkTwice,
  })
  const { heartbeatIntervalMs } = options
  const history = openMetricsHistory({
    dir: join(options.dataDir, 'metrics'),
    bytesMax: options.metricsBytes,
    seriesMax: options.metricsSeries,
    world: () => loop.world,
    clock: systemClock,
    heartbeatIntervalMs,
    log,
  })
  opened.history = history
  const port = createPort({ log })
  const logStore = options.logsBytes === 0 ? null : new LogStore(logStoreOptions(options, log))
  opened.logStore = logStore
  const sessions = createSessions({
    core: loop,
    security,
    settings: { heartbeatIntervalMs },
    port,
    log,
    lastMinutes: (node, tasks) => flightRecorder.lastMinutes(node, tasks),
    devices: (node, devices) => history.totals.hear(node, devices),
    ...(logStore && { logStore }),
  })
  opened.sessions = sessions
  const logs = logStore === null ? sessions : keptReader(loop, sessions, logStore)
  loop.setDispatcher(sessions)
  metrics.watch({
    world: () => loop.world,
    now: systemClock.now,
    heartbeatIntervalMs,
    storeBytes: () => store.sizeBytes(),
    wire: () => sessions.stats(),
    ...(journal && { journal: () => journal.stats() }),
    alerts: () => alerter.counts(),
    forwarding: () => forwarding.targets(),
    ...(logStore && { logs: () => logStore.stats() }),
    incidents: () => flightRecorder.stats(),
    port: port.stats,
    history: history.stats,
    totals: history.totals,
  })
  const settings: ApiSettings = { url: urlOf(options, options.port), startedAt, storeBytes: () => store.sizeBytes() }
  const alerter = createAlerter({
    files: await openAlertFiles(join(options.dataDir, 'alerts')),
    world: () => loop.world,
    own: () => ({
      certificateEndsAt: security.serverCertificateEndsAt(),
      nodeCertificates: sessions.certificateEnds(),
      storeBytes: store.sizeBytes(),
      logsTrouble: logStore?.trouble ?? null,
      targetTroubles: forwarding.troubles(),
    }),
    url: () => settings.url,
    tell: loop.tell,
    deliver,
    clock: systemClock,
    log,
  })
  const forwarding = await openForwarding({
    files: await openForwardingFiles(join(options.dataDir, 'forwarding')),
    store: logStore,
    picture: () => ({ world: loop.world, totals: history.totals, startedAt, now: systemClock.now() }),
    tell: loop.tell,
    clock: systemClock,
    log,
  })
  const api = createApi({
    core: loop,
    logs,
    security,
    metrics,
    settings,
    journal: journal ?? undefined,
    audit: openAuditLog(store, (record, error) =>
      log.error({ err: error, ...record }, 'a change could not be put into the audit log'),
    ),
    alerter,
    forwarding,
    history,
    flightRecorder,
    version,
    port,
    log,
    installer: installerRoutes({ root: ROOT, cacheDir: join(options.dataDir, 'bundles'), url: settings.url, security }),
  })
  opened.api = api
  sessions.attach(api.server as Server)
  settings.url = urlOf(options, await listen(api, options))
  const world = { nodes: loop.world.nodes.size, services: loop.world.services.size, tasks: loop.world.tasks.size }
  log.info(
    { url: settings.url, cluster: security.cluster, startMs: systemClock.now() - startedAt, ...world },
    `serving at ${settings.url}`,
  )
  // Not needed to serve, hence loaded afterwards.
  const { startUpkeep } = await import('./upkeep.ts')
  opened.upkeep = startUpkeep([{ name: "the server's certificate", schedule: HOURLY, run: security.renewIfDue }], log)
  void loadLater(flightRecorder, log, signal)
  opened.alerting = alerter.run(signal)
  opened.forwarding = forwarding.run(signal)
  return { url: settings.url, cluster: security.cluster, ended: runUntilStopped(loop, opened, log, signal) }
}

/** What the first change of an operator would wait for; and what blocks for a second or so, once the agents that come back have had their turn. */
async function loadLater(flightRecorder: FlightRecorder, log: Logger, signal: AbortSignal): Promise<void> {
  await systemClock.sleep(LOAD_LATER_MS, signal).catch(() => {})
  if (signal.aborted) return
  await loadCheckInput(systemClock)
  await flightRecorder.resume().catch((error: unknown) => log.error({ err: error }, 'incidents cannot be read'))
  await untilAtRest(FLUSH_LATER_MS_MAX, systemClock, signal).catch(() => {})
  if (signal.aborted) return
  // Node writes its cache of compiled code when the process ends well; after a kill the next start would be slow.
  flushCompileCache()
}

/** Agents and operators are told first, so that nothing comes in that could not be stored any more. */
async function runUntilStopped(loop: Loop, opened: Opened, log: Logger, signal: AbortSignal): Promise<void> {
  const stopLoop = new AbortController()
  const running = loop.run(stopLoop.signal)
  running.catch(() => {})
  try {
    await Promise.race([running, aborted(signal)])
    log.info({}, 'stopping; containers go on')
    await within(STOP_LIMIT_MS, closeInterfaces(opened))
  } finally {
    stopLoop.abort()
    await running.catch((error: unknown) => log.error({ error: String(error) }, 'the control loop has failed'))
    await closeAll(opened)
  }
  await running
}

async function closeInterfaces({ sessions, api }: Opened): Promise<void> {
  await sessions?.close()
  await api?.close()
}

async function closeAll(opened: Opened): Promise<void> {
  await within(STOP_LIMIT_MS, closeInterfaces(opened)).catch(() => {})
  opened.upkeep?.stop()
  opened.metrics?.close()
  await opened.alerting
  await opened.forwarding
  await opened.journal?.close()
  await opened.flightRecorder?.close()
  await opened.logStore?.close()
  await opened.history?.close()
  await opened.store.close()
}

/** The port that it listens on. */
async function listen(api: Api, { host, port }: CoordinatorOptions): Promise<number> {
  try {
    await api.listen({ host, port })
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EADDRINUSE') {
      throw new BerthError(
        'conflict',
        `${host}:${port} is in use by another program; stop it or choose another --listen`,
        {
          cause: error,
        },
      )
    }
    if (code === 'EADDRNOTAVAIL' || code === 'EACCES' || code === 'ENOTFOUND') {
      throw new BerthError('failed', `cannot listen on ${host}:${port} (${code}); choose another --listen`, {
        cause: error,
      })
    }
    throw error
  }
  const address = api.server.address()
  return address !== null && typeof address === 'object' ? address.port : port
}

function journalOptions({ dataDir, journalBytes }: CoordinatorOptions, version: string, log: Logger) {
  return { dir: join(dataDir, 'journal'), bytesMax: journalBytes, version, clock: systemClock, log }
}

function logStoreOptions({ dataDir, logsBytes, logsAgeMs }: CoordinatorOptions, log: Logger) {
  return { dir: join(dataDir, 'logs'), bytesMax: logsBytes, ageMaxMs: logsAgeMs, now: systemClock.now, log }
}

function keptReader(loop: Loop, sessions: Sessions, store: LogStore) {
  return createKeptReader({
    store,
    serviceOf: (task) => loop.world.tasks.get(task)?.service ?? store.ownerOf(task)?.service ?? null,
    look: (nodes) => sessions.look(nodes),
    isOpen: (node) => sessions.isOpen(node),
    onNodeClosed: (listener) => sessions.onNodeClosed(listener),
  })
}

function gracesOf({ startGraceMs, agentGraceMs, goodbyeGraceMs, engineGraceMs }: CoordinatorOptions) {
  return { startGraceMs, agentGraceMs, goodbyeGraceMs, engineGraceMs }
}

function versionOf(root: string): string {
  return (JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }).version
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}

/** A connection that will not end must not keep the store from being closed well. */
async function within(limitMs: number, work: Promise<void>): Promise<void> {
  const timer = new AbortController()
  const limit = systemClock.sleep(limitMs, timer.signal).catch(() => {})
  await Promise.race([work, limit])
  timer.abort()
}
