/**
 * Health by probes from outside (`x-berth.health`): where to ask, when, and what the answers make of the container. Pure; the
 * asking is agent/host/prober.ts.
 */
import type { Instant } from '../../shared/clock.ts'
import type { HealthProbe, TaskSpec } from '../../shared/spec.ts'
import type { Health } from '../../shared/task-state.ts'
import type { Container } from './container.ts'

/** How this host reaches containers: at their own addresses, only where their ports are published, or at another machine's. */
export type Reach = { by: 'address' } | { by: 'published-port'; host: string; why: string }

export type ProbeTarget = { host: string; port: number } | { unreachable: string }
export type ProbeOutcome = { ok: boolean; message: string; startedAt: Instant; endedAt: Instant }

/** One run of one container, as its probes show it. */
export type ProbedRun = {
  /** Container and attempt: another start is another run. */
  key: string
  /** When it was first seen to run. */
  since: Instant
  health: Extract<Health, 'starting' | 'healthy' | 'unhealthy'>
  /** Of the first success. */
  healthyAt: Instant | null
  failuresInRow: number
  /** What the last failing probe said; null after a success. */
  message: string | null
  /** The last few, oldest first. */
  outcomes: ProbeOutcome[]
  nextAt: Instant
}

const OUTCOMES_KEPT = 5

/** The first probe is made at once: what is up already is known without waiting, also after the agent was started anew. */
export function beginProbing(key: string, startedAt: Instant, now: Instant): ProbedRun {
  const since = Math.min(startedAt, now)
  return { key, since, health: 'starting', healthyAt: null, failuresInRow: 0, message: null, outcomes: [], nextAt: now }
}

/**
 * As the Engine judges its healthchecks: a success makes it healthy at once; `retries` failures in a row make it unhealthy, and
 * those before the first success within the start period do not count.
 */
export function afterProbe(run: ProbedRun, outcome: ProbeOutcome, rule: HealthProbe): ProbedRun {
  const outcomes = [...run.outcomes, outcome].slice(-OUTCOMES_KEPT)
  if (outcome.ok) {
    const next = { ...run, health: 'healthy' as const, healthyAt: run.healthyAt ?? outcome.endedAt, failuresInRow: 0 }
    return { ...next, message: null, outcomes, nextAt: outcome.endedAt + rule.intervalMs }
  }
  const isStarting = run.healthyAt === null && outcome.endedAt < run.since + rule.startPeriodMs
  const failuresInRow = isStarting ? 0 : run.failuresInRow + 1
  const health = failuresInRow >= rule.retries ? 'unhealthy' : run.health
  const pauseMs = isStarting ? Math.min(rule.startIntervalMs, rule.intervalMs) : rule.intervalMs
  return { ...run, health, failuresInRow, message: outcome.message, outcomes, nextAt: outcome.endedAt + pauseMs }
}

/** What tells one run from the next. The attempt, not the start's moment: that is first ours and then the Engine's. */
export function runKey(container: Container, attempt: number): string {
  return `${container.id}/${attempt}`
}

/** The container as it is with the health that its probes found. */
export function withProbedHealth(
  container: Container,
  spec: TaskSpec | null,
  attempt: number,
  run: ProbedRun | null,
): Container {
  if (!spec?.container.probe || container.state !== 'running') return container
  if (run?.key !== runKey(container, attempt)) return { ...container, health: 'starting', healthyAt: null }
  const { health, healthyAt, message, outcomes } = run
  const last = outcomes.at(-1)
  return {
    ...container,
    ...{ health, healthyAt: health === 'healthy' ? healthyAt : null, healthMessage: message },
    ...(last && { healthCheckMs: Math.max(0, last.endedAt - last.startedAt) }),
  }
}

/**
 * Where the container's port is reached from this host. Its own address is asked where it can be: a published port may be answered
 * by the Engine's proxy although nothing listens behind it.
 */
export function probeTarget(container: Container, spec: TaskSpec, reach: Reach): ProbeTarget {
  const { probe, networkMode } = spec.container
  const port = probe!.port
  if (networkMode === 'host') return { host: reach.by === 'address' ? '127.0.0.1' : reach.host, port }
  if (reach.by === 'address') {
    const address = container.addresses?.[0]
    return address ? { host: address, port } : { unreachable: 'the Engine has given the container no address' }
  }
  const published = container.ports.find(({ containerPort, protocol }) => containerPort === port && protocol === 'tcp')
  if (published) return { host: reach.host, port: published.hostPort }
  return { unreachable: `${reach.why}, and port ${port} is not published: publish it, or use a healthcheck` }
}

/** For people: `GET http://10.0.0.2:80/healthz`. */
export function printProbe({ test, port }: HealthProbe, host: string): string {
  const at = `${host.includes(':') ? `[${host}]` : host}:${port}`
  if (test.kind === 'http') return `GET ${test.scheme}://${at}${test.path}`
  return test.kind === 'tcp' ? `connect to ${at}` : `grpc health of ${test.service || 'the server'} at ${at}`
}
