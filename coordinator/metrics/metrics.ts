/** The coordinator's metrics in Prometheus' form: the one file that knows prom-client. docs/metrics.md lists them. */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import { type Instant, systemClock } from '../../shared/clock.ts'
import type { AlertCounts } from '../alerts/alerter.ts'
import { viewDiscovery } from '../api/view-discovery.ts'
import type { PortCounts } from '../connections/port.ts'
import type { TargetView } from '../forwarding/forwarding.ts'
import type { IncidentStats } from '../incidents/flight-recorder.ts'
import type { LogStoreStats } from '../logs/log-store.ts'
import type { MetricsStoreStats } from '../metrics-store/metrics-store.ts'
import { inTurns } from '../turns.ts'
import type { Decision, World } from '../world.ts'
import { loadTextInSteps } from './load-text.ts'
import type { Totals } from './totals.ts'
import { worldFigures } from './world-metrics.ts'

/** What is asked when somebody asks for the metrics; counts are since the start. */
export type MetricSources = {
  world: () => World
  now: () => Instant
  heartbeatIntervalMs?: number
  storeBytes?: () => number
  wire?: () => WireCounts
  journal?: () => { bytes: number; gaps: number }
  logs?: () => LogStoreStats
  incidents?: () => IncidentStats
  port?: () => PortCounts
  alerts?: () => AlertCounts
  forwarding?: () => TargetView[]
  totals?: Totals
  history?: () => MetricsStoreStats | null
}

export type WireCounts = {
  sessions: number
  framesReceived: number
  bytesReceived: number
  framesSent: number
  bytesSent: number
  logLinesDropped: number
  refused: Map<string, number>
}

export type Metrics = {
  readonly contentType: string
  /** All metrics as text, of this moment. */
  metrics(): Promise<string>
  /** From now on these are asked. Before, what depends on them is missing. */
  watch(sources: MetricSources): void
  /** Told by the loop after each beat. */
  beat(sample: { durationMs: number; decisions: Decision[]; stallMs: number }): void
  /** Told by the loop after each commit of the store. */
  flush(sample: { durationMs: number; writes: number; failed: boolean }): void
  close(): void
}

const FAST_SECONDS = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5]
const LOOP_DELAY_RESOLUTION_MS = 20

/** Others have one between the parts of a large fleet's metrics. */
const aTurn = () => new Promise<void>(systemClock.soon)

/** A registry of its own, so that several coordinators in one process (tests) do not share figures. */
export function createMetrics(): Metrics {
  const registry = new Registry()
  const delay = monitorEventLoopDelay({ resolution: LOOP_DELAY_RESOLUTION_MS })
  delay.enable()
  collectProcessMetrics(registry)
  const loop = loopMetrics(registry)
  const world = worldMetrics(registry)
  const wire = wireMetrics(registry)
  const port = portMetrics(registry)
  const alerts = gauge(registry, 'berth_alerts', 'Alerts by state', ['state'])
  const notifications = gauge(registry, 'berth_alert_notifications', 'Notifications to receivers since the start', [
    'result',
  ])
  const forwarding = forwardingMetrics(registry)
  const logs = logMetrics(registry)
  const history = historyMetrics(registry)
  const undiscovered = gauge(
    registry,
    'berth_discovery_tasks_left_out',
    'Running tasks with the label prometheus.io/port that Prometheus cannot reach',
  )
  const incidents = incidentMetrics(registry)
  const storeBytes = gauge(registry, 'berth_store_size_bytes', 'Size of the store on disk')
  const journalBytes = gauge(registry, 'berth_journal_size_bytes', 'Size of the journal on disk')
  const journalGaps = gauge(registry, 'berth_journal_gaps', 'Gaps in the journal since the start')
  const loopDelay = gauge(
    registry,
    'berth_event_loop_delay_seconds',
    'Delay of the event loop since the last reading',
    ['percentile'],
  )
  let sources: MetricSources | null = null

  return {
    contentType: registry.contentType,

    async metrics() {
      for (const percentile of [50, 99, 100]) {
        loopDelay.set({ percentile }, delay.percentile(percentile) / 1e9)
      }
      delay.reset()
      if (sources !== null) {
        world(sources.world(), sources.now(), sources.heartbeatIntervalMs)
        await aTurn()
        if (sources.storeBytes) storeBytes.set(sources.storeBytes())
        if (sources.wire) wire(sources.wire())
        const journal = sources.journal?.()
        if (journal) {
          journalBytes.set(journal.bytes)
          journalGaps.set(journal.gaps)
        }
        if (sources.logs) logs(sources.logs())
        if (sources.incidents) incidents(sources.incidents())
        if (sources.port) port(sources.port())
        if (sources.alerts) {
          const { sent, failed, timedOut, ...states } = sources.alerts()
          for (const [state, count] of Object.entries(states)) alerts.set({ state }, count)
          for (const [result, count] of Object.entries({ sent, failed, 'timed-out': timedOut }))
            notifications.set({ result }, count)
        }
        if (sources.forwarding) forwarding(sources.forwarding())
        const kept = sources.history?.()
        if (kept) history(kept)
      }
      if (sources === null) return registry.metrics()
      undiscovered.set(viewDiscovery(sources.world()).leftOut.length)
      await aTurn()
      const registered = await registry.metrics()
      await aTurn()
      return `${registered}\n${await inTurns(loadTextInSteps(sources.world(), sources.totals), systemClock)}`
    },

    watch(given) {
      sources = given
    },

    ...loop,

    close() {
      delay.disable()
      registry.clear()
    },
  }
}

function loopMetrics(registry: Registry): Pick<Metrics, 'beat' | 'flush'> {
  const beat = histogram(
    registry,
    'berth_beat_duration_seconds',
    'Duration of a beat of the control loop, with the turns that others had meanwhile',
    FAST_SECONDS,
  )
  const stall = histogram(registry, 'berth_beat_stall_seconds', 'Longest a beat held up the event loop', FAST_SECONDS)
  const commit = histogram(registry, 'berth_store_commit_seconds', 'Until a commit was durable', FAST_SECONDS)
  const writes = counter(registry, 'berth_store_writes_total', 'Writes to the store')
  const failures = counter(registry, 'berth_store_commit_failures_total', 'Commits that the store refused')
  const decided = counter(registry, 'berth_decisions_total', 'Decisions of the control loop', ['kind'])
  return {
    beat({ durationMs, decisions, stallMs }) {
      beat.observe(durationMs / 1000)
      stall.observe(stallMs / 1000)
      for (const { kind } of decisions) decided.inc({ kind })
    },
    flush({ durationMs, writes: count, failed }) {
      commit.observe(durationMs / 1000)
      if (failed) failures.inc()
      else writes.inc(count)
    },
  }
}

function worldMetrics(registry: Registry): (world: World, now: Instant, heartbeatIntervalMs?: number) => void {
  const revision = gauge(registry, 'berth_world_revision', 'Values applied to the world')
  const nodes = gauge(registry, 'berth_nodes', 'Nodes by status', ['status'])
  const draining = gauge(registry, 'berth_nodes_draining', 'Nodes that are drained')
  const leftOut = gauge(registry, 'berth_nodes_without_series', 'Nodes beyond the bound of berth_node_* series')
  const tasks = gauge(registry, 'berth_tasks', 'Tasks by state', ['state'])
  const waiting = gauge(registry, 'berth_tasks_waiting', 'Tasks that no node fits')
  const sampled = gauge(registry, 'berth_tasks_sampled', 'Tasks whose load is read, by why so often', ['because'])
  const stacks = gauge(registry, 'berth_stacks', 'Stacks')
  const services = gauge(registry, 'berth_services', 'Services')
  const rollouts = gauge(registry, 'berth_rollouts', 'Services by state of their rollout', ['state'])
  const failing = gauge(registry, 'berth_nodes_failing', 'Pairs of a node and a service that it keeps failing')
  const staying = gauge(registry, 'berth_services_staying', 'Services that fail, and are not tried on yet another node')
  const byNode = [
    ['cpuCoresTotal', gauge(registry, 'berth_node_cpu_cores', 'Cores of the node', ['node'])],
    ['cpuCoresUsed', gauge(registry, 'berth_node_cpu_cores_used', 'Cores in use', ['node'])],
    ['cpuCoresPromised', gauge(registry, 'berth_node_cpu_cores_promised', 'Cores reserved by tasks', ['node'])],
    ['memoryBytesTotal', gauge(registry, 'berth_node_memory_bytes', 'Memory of the node', ['node'])],
    ['memoryBytesUsed', gauge(registry, 'berth_node_memory_bytes_used', 'Memory in use', ['node'])],
    ['memoryBytesPromised', gauge(registry, 'berth_node_memory_bytes_promised', 'Memory reserved by tasks', ['node'])],
    ['quietSeconds', gauge(registry, 'berth_node_quiet_seconds', 'Since the agent was last heard', ['node'])],
    ['quietSecondsLimit', gauge(registry, 'berth_node_quiet_seconds_limit', 'After which it is lost', ['node'])],
  ] as const

  return (world, now, heartbeatIntervalMs) => {
    const figures = worldFigures(world, now, heartbeatIntervalMs)
    revision.set(figures.revision)
    setEach(nodes, 'status', figures.nodesByStatus)
    draining.set(figures.nodesDraining)
    leftOut.set(figures.nodesLeftOut)
    setEach(tasks, 'state', figures.tasksByState)
    waiting.set(figures.tasksWaiting)
    setEach(sampled, 'because', figures.tasksBySampling)
    stacks.set(figures.stacks)
    services.set(figures.services)
    setEach(rollouts, 'state', figures.rolloutsByState)
    failing.set(figures.nodesFailing)
    staying.set(figures.servicesStaying)
    for (const [figure, metric] of byNode) {
      setEach(metric, 'node', Object.fromEntries(figures.nodes.map((node) => [node.node, node[figure]])))
    }
  }
}

function wireMetrics(registry: Registry): (counts: WireCounts) => void {
  const sessions = gauge(registry, 'berth_sessions', 'Agents connected')
  const messages = counter(registry, 'berth_wire_messages_total', 'Messages from and to agents', ['direction'])
  const bytes = counter(registry, 'berth_wire_bytes_total', 'Bytes of messages from and to agents', ['direction'])
  const refused = counter(registry, 'berth_wire_refused_total', 'Connections and messages refused', ['reason'])
  const dropped = counter(registry, 'berth_log_lines_dropped_total', 'Log lines that slow readers did not get')
  return (counts) => {
    sessions.set(counts.sessions)
    countEach(messages, 'direction', { up: counts.framesReceived, down: counts.framesSent })
    countEach(bytes, 'direction', { up: counts.bytesReceived, down: counts.bytesSent })
    countEach(refused, 'reason', Object.fromEntries(counts.refused))
    dropped.reset()
    dropped.inc(counts.logLinesDropped)
  }
}

function portMetrics(registry: Registry): (counts: PortCounts) => void {
  const strangers = gauge(registry, 'berth_strangers', 'Connections that have shown neither certificate nor token')
  const refused = counter(registry, 'berth_strangers_refused_total', 'Connections closed for lack of room', ['reason'])
  return (counts) => {
    strangers.set(counts.strangers)
    countEach(refused, 'reason', Object.fromEntries(counts.refused))
  }
}

/** Labels that are no more (a node that was removed) go. */
function setEach(metric: Gauge, label: string, values: Record<string, number>): void {
  metric.reset()
  for (const [name, value] of Object.entries(values)) metric.set({ [label]: name }, value)
}

/** The count is kept where it is counted; here it is only told. */
function countEach(metric: Counter, label: string, values: Record<string, number>): void {
  metric.reset()
  for (const [name, value] of Object.entries(values)) metric.inc({ [label]: name }, value)
}

/** Memory, CPU, descriptors, garbage collection. Its own look at the event loop would wake us a hundred times a second more. */
function collectProcessMetrics(registry: Registry): void {
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: 1000 })
  for (const name of registry.getMetricsAsArray().map((metric) => metric.name)) {
    // Of the latter there are others by type; these are no counters, whatever their names say.
    if (name.startsWith('nodejs_eventloop_lag') || /^nodejs_active_.*_total$/.test(name))
      registry.removeSingleMetric(name)
  }
}

function historyMetrics(registry: Registry): (stats: MetricsStoreStats) => void {
  const series = gauge(registry, 'berth_metrics_series', 'Series of nodes and tasks with new points')
  const subjects = gauge(registry, 'berth_metrics_subjects', 'Nodes and tasks of which points are kept')
  const leftOut = gauge(registry, 'berth_metrics_series_left_out', 'Series beyond the bound, of which nothing is kept')
  const bytes = gauge(registry, 'berth_metrics_size_bytes', 'Size of the metrics store on disk')
  const samples = counter(registry, 'berth_metrics_samples_total', 'Points taken into the metrics store')
  const lost = counter(registry, 'berth_metrics_frames_lost_total', 'Minutes of metrics that could not be written')
  return (stats) => {
    series.set(stats.series)
    subjects.set(stats.subjects)
    leftOut.set(stats.seriesLeftOut)
    bytes.set(stats.bytes)
    samples.reset()
    samples.inc(stats.samples)
    lost.reset()
    lost.inc(stats.framesLost)
  }
}

function gauge(registry: Registry, name: string, help: string, labelNames: string[] = []): Gauge {
  return new Gauge({ name, help, labelNames, registers: [registry] })
}

function counter(registry: Registry, name: string, help: string, labelNames: string[] = []): Counter {
  return new Counter({ name, help, labelNames, registers: [registry] })
}

function histogram(registry: Registry, name: string, help: string, buckets: number[]): Histogram {
  return new Histogram({ name, help, buckets, registers: [registry] })
}

/** What the log store tells of itself. */
function logMetrics(registry: Registry): (stats: LogStoreStats) => void {
  const size = (name: string, help: string) => gauge(registry, name, help)
  const counter = (name: string, help: string) => new Counter({ name, help, registers: [registry] })
  const stored = size('berth_logs_size_bytes', 'Size of the kept log lines on disk')
  const waiting = size('berth_logs_waiting_bytes', 'Log lines that wait for the disk, as they are packed')
  const unindexed = size('berth_logs_unindexed_bytes', 'Kept log lines without an index, as they are packed')
  const full = size('berth_logs_full', '1 while the disk takes no log lines')
  const raw = counter('berth_logs_received_bytes_total', 'Bytes of log lines that were kept, before packing')
  const lines = counter('berth_logs_received_lines_total', 'Log lines that were kept')
  const gaps = counter('berth_logs_gaps_total', 'Places where lines were thrown away before they could be read')
  const dropped = counter('berth_logs_segments_dropped_total', 'Segments that went, by size or age')
  return (stats) => {
    stored.set(stats.bytes)
    waiting.set(stats.waitingBytes)
    unindexed.set(stats.unindexedBytes)
    full.set(stats.isFull ? 1 : 0)
    became(raw, stats.rawBytes)
    became(lines, stats.lines)
    became(gaps, stats.gaps)
    became(dropped, stats.segmentsDropped)
  }
}

/** By target; one that is no more has no series. */
function forwardingMetrics(registry: Registry): (targets: TargetView[]) => void {
  const behindLines = gauge(registry, 'berth_forward_behind_lines', 'Lines that wait for the target', ['target'])
  const behindBytes = gauge(registry, 'berth_forward_behind_bytes', 'The same in bytes, before packing', ['target'])
  const behindSeconds = gauge(registry, 'berth_forward_behind_seconds', 'How long the oldest of them waits', ['target'])
  const retrying = gauge(registry, 'berth_forward_retrying', '1 while the target does not take lines', ['target'])
  const counter = (name: string, help: string, label: string) =>
    new Counter({ name, help, labelNames: ['target', label], registers: [registry] })
  const lines = counter('berth_forward_lines_total', 'Lines by what became of them', 'result')
  const figures = counter('berth_forward_metrics_total', 'Figures sent to the target, by result', 'result')
  return (targets) => {
    for (const each of [behindLines, behindBytes, behindSeconds, retrying, lines, figures]) each.reset()
    for (const { target, logs, metrics } of targets) {
      const of = { target: target.name }
      if (logs !== null) {
        const { state, behind, counts } = logs
        behindLines.set(of, behind.lines)
        behindBytes.set(of, behind.rawBytes)
        behindSeconds.set(of, behind.seconds)
        retrying.set(of, state.name === 'retrying' ? 1 : 0)
        lines.inc({ ...of, result: 'sent' }, counts.lines)
        lines.inc({ ...of, result: 'refused' }, counts.refused)
        lines.inc({ ...of, result: 'skipped' }, counts.skipped)
      }
      if (metrics === null) continue
      figures.inc({ ...of, result: 'sent' }, metrics.counts.sent)
      figures.inc({ ...of, result: 'failed' }, metrics.counts.failed)
    }
  }
}

function incidentMetrics(registry: Registry): (stats: IncidentStats) => void {
  const kept = gauge(registry, 'berth_incidents', 'Incidents that are kept')
  const size = gauge(registry, 'berth_incidents_size_bytes', 'Size of the kept incidents on disk')
  const name = 'berth_incidents_lost_total'
  const lost = new Counter({ name, help: 'Failures that could not be taken down', registers: [registry] })
  return (stats) => {
    kept.set(stats.incidents)
    size.set(stats.bytes)
    became(lost, stats.lost)
  }
}

function became(counter: Counter, value: number): void {
  counter.reset()
  counter.inc(value)
}
