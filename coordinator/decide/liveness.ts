/**
 * Whether a node is with us. A closed connection is known at once and has a grace: agents are restarted and upgraded
 * while their containers go on. Silence on an open connection is judged by what the node taught us about its usual
 * interval: the limit is the mean plus some deviations plus a margin, between a floor and a ceiling, so that a regular
 * node is missed within two to three heartbeats and one under stress is not given up for stuttering.
 *
 * A fixed limit was declined: short enough for a quick failover it evicts falsely under load, long enough for load it
 * is a slow failover (docs/decisions/liveness.md).
 */
import type { Instant } from '../../shared/clock.ts'
import type { HeardStatistics, Node, NodeStatus } from '../world.ts'
import { type Company, companySince } from './company.ts'
import type { DecideSettings } from './settings.ts'
import { stalledMsSince } from './stalls.ts'

/** `status`: the new one, null when it stays. `wakeAt`: when time alone could change the answer. */
export type LivenessJudgement = { status: NodeStatus | null; wakeAt: Instant | null }

export function judgeLiveness(node: Node, now: Instant, settings: DecideSettings, company: Company): LivenessJudgement {
  const judged = node.connection ? judgeConnected(node, now, settings) : judgeUnconnected(node, now, settings)
  const isUnheard = node.connection === null || now >= silentAt(node, settings)
  return isUnheard && judged.status?.name === 'lost'
    ? judgeGivingUp(node, judged.status, now, settings, company)
    : judged
}

/**
 * Of a node that is about to be lost. While nobody is heard none is given up. When the first are heard again the others have
 * an agent's grace to follow; those that were heard all the time tell that it is this node that is away.
 */
function judgeGivingUp(
  node: Node,
  lost: Extract<NodeStatus, { name: 'lost' }>,
  now: Instant,
  settings: DecideSettings,
  company: Company,
): LivenessJudgement {
  const since = companySince(node, company, now, settings)
  const aloneSince = node.status.name === 'disconnected' && node.status.alone ? node.status.since : null
  if (since === null) {
    const why = `${lost.why}; no other node is heard either, so the coordinator may be cut off itself`
    const alone: NodeStatus = { name: 'disconnected', since: now, why, alone: true }
    return { status: aloneSince === null ? alone : null, wakeAt: now + ALONE_LOOK_MS }
  }
  if (aloneSince === null || since < aloneSince) return { status: lost, wakeAt: null }
  const lostAt = since + settings.agentGraceMs + stalledMsSince(settings.stalls, since)
  return now < lostAt ? { status: null, wakeAt: lostAt } : { status: lost, wakeAt: null }
}

/** Whether another one is heard is not told by any mark. */
const ALONE_LOOK_MS = 250

// ---------------------------------------------------------------- without a connection

function judgeUnconnected(node: Node, now: Instant, settings: DecideSettings): LivenessJudgement {
  const { status } = node
  if (status.name === 'lost' || status.name === 'joining') return { status: null, wakeAt: null }
  if (status.name === 'disconnected') return judgeGrace(status, now, settings)
  // Ready when the coordinator was last up, and not heard of since. Most agents are back within the blink of a restart,
  // so for a moment nothing is written or said about it.
  const quietUntil = settings.coordinatorStartedAt + Math.min(START_QUIET_MS, settings.startGraceMs)
  if (now < quietUntil) return { status: null, wakeAt: quietUntil }
  const why = 'not heard of since the coordinator started'
  const disconnected = { name: 'disconnected', since: settings.coordinatorStartedAt, why } as const
  const judged = judgeGrace(disconnected, now, settings)
  return { status: judged.status ?? disconnected, wakeAt: judged.wakeAt }
}

const START_QUIET_MS = 2_000

function judgeGrace(
  status: Extract<NodeStatus, { name: 'disconnected' }>,
  now: Instant,
  settings: DecideSettings,
): LivenessJudgement {
  const graceMs = status.goodbye ? settings.goodbyeGraceMs : settings.agentGraceMs
  const lostAt = Math.max(status.since + graceMs, settings.coordinatorStartedAt + settings.startGraceMs)
  const creditedAt = lostAt + stalledMsSince(settings.stalls, status.since)
  if (now < creditedAt) return { status: null, wakeAt: creditedAt }
  return {
    status: { name: 'lost', since: now, why: `${status.why}; not back after ${seconds(graceMs)}` },
    wakeAt: null,
  }
}

// ---------------------------------------------------------------- with one

function judgeConnected(node: Node, now: Instant, settings: DecideSettings): LivenessJudgement {
  const silenceAt = silentAt(node, settings)
  if (now >= silenceAt) return judgeSilent(node, now)
  // Connected, but it has not said yet what it runs: what we last knew may mislead, so it is not ready. A grace that
  // began before goes on.
  if (!node.fullyObserved) {
    if (node.status.name !== 'disconnected' || node.status.alone) return { status: null, wakeAt: silenceAt }
    const judged = judgeGrace(node.status, now, settings)
    return { status: judged.status, wakeAt: earliest(judged.wakeAt, silenceAt) }
  }
  if (node.engine?.state === 'down') return judgeEngineDown(node, node.engine.message, now, silenceAt, settings)
  if (node.status.name === 'ready') return { status: null, wakeAt: silenceAt }
  return { status: { name: 'ready', since: now }, wakeAt: silenceAt }
}

function judgeSilent(node: Node, now: Instant): LivenessJudgement {
  if (node.status.name === 'lost' || node.status.name === 'joining') return { status: null, wakeAt: null }
  return { status: { name: 'lost', since: now, why: `silent for ${seconds(now - node.heard.lastAt)}` }, wakeAt: null }
}

function judgeEngineDown(
  node: Node,
  message: string | undefined,
  now: Instant,
  silenceAt: Instant,
  settings: DecideSettings,
): LivenessJudgement {
  const lostAt = node.engineSince + settings.engineGraceMs + stalledMsSince(settings.stalls, node.engineSince)
  const why = message ?? 'the Engine does not answer'
  if (now < lostAt) {
    const isSaid = node.status.name === 'engine-down' || node.status.name === 'lost'
    const status: NodeStatus | null = isSaid ? null : { name: 'engine-down', since: node.engineSince, why }
    return { status, wakeAt: earliest(lostAt, silenceAt) }
  }
  if (node.status.name === 'lost') return { status: null, wakeAt: silenceAt }
  const lost = `its Engine has been down for ${seconds(settings.engineGraceMs)}: ${why}`
  return { status: { name: 'lost', since: now, why: lost }, wakeAt: silenceAt }
}

// ---------------------------------------------------------------- the detector

function silentAt({ heard }: Node, settings: DecideSettings): Instant {
  return heard.lastAt + silenceLimitMs(heard, settings) + stalledMsSince(settings.stalls, heard.lastAt)
}

/** How long a node with this past may be silent. */
export function silenceLimitMs(heard: HeardStatistics, settings: DecideSettings): number {
  if (heard.samples < SAMPLES_MIN) return Math.min(settings.silenceMaxMs, UNKNOWN_FACTOR * settings.silenceMinMs)
  const deviationMs = Math.sqrt(heard.varianceMs2)
  const expectedMs = heard.meanIntervalMs * MISSED_MEAN + DEVIATIONS * deviationMs
  return Math.min(settings.silenceMaxMs, Math.max(settings.silenceMinMs, expectedMs))
}

/** Too few intervals to know a node's habit: twice the floor. */
const SAMPLES_MIN = 5
const UNKNOWN_FACTOR = 2
/** A whole heartbeat may be missing and the next one late. */
const MISSED_MEAN = 2
const DEVIATIONS = 4

/** Learns the interval between heartbeats; older ones fade, so that habits may change. */
export function heardBeat(heard: HeardStatistics, at: Instant): HeardStatistics {
  // The first one, or our clock was set back: what was heard in a time to come would hide all silence until then.
  if (heard.lastBeatAt === 0 || at <= heard.lastBeatAt) return { ...heard, lastAt: at, lastBeatAt: at }
  const intervalMs = Math.min(at - heard.lastBeatAt, INTERVAL_MAX_MS)
  if (heard.samples === 0) {
    return { lastAt: at, lastBeatAt: at, meanIntervalMs: intervalMs, varianceMs2: 0, samples: 1 }
  }
  const differenceMs = intervalMs - heard.meanIntervalMs
  const weight = Math.max(WEIGHT_MIN, 1 / (heard.samples + 1))
  return {
    lastAt: at,
    lastBeatAt: at,
    meanIntervalMs: heard.meanIntervalMs + weight * differenceMs,
    varianceMs2: (1 - weight) * (heard.varianceMs2 + weight * differenceMs * differenceMs),
    samples: heard.samples + 1,
  }
}

const INTERVAL_MAX_MS = 60_000
/** The last 20 or so heartbeats count. */
const WEIGHT_MIN = 0.05

export function earliest(...instants: (Instant | null)[]): Instant | null {
  const known = instants.filter((instant) => instant !== null)
  return known.length === 0 ? null : Math.min(...known)
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`
}
