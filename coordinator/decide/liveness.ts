/**
 * Whether a node is with us. A closed connection is known at once and has a grace: agents are restarted and upgraded
 * while their containers go on. Silence on an open connection is judged by what the node taught us about its usual
 * interval (silence.ts), so that a regular node is missed within three heartbeats and one under stress is not given up for
 * stuttering.
 */
import type { Instant } from '../../shared/clock.ts'
import type { Node, NodeStatus } from '../world.ts'
import { type Company, companySince } from './company.ts'
import type { DecideSettings } from './settings.ts'
import { silentAt } from './silence.ts'
import { stalledMsSince } from './stalls.ts'

/** `status`: the new one, null when it stays. `wakeAt`: when time alone could change the answer. */
export type LivenessJudgement = { status: NodeStatus | null; wakeAt: Instant | null }

export function judgeLiveness(node: Node, now: Instant, settings: DecideSettings, company: Company): LivenessJudgement {
  const judged = node.connection ? judgeConnected(node, now, settings, company) : judgeUnconnected(node, now, settings)
  if (judged.status?.name !== 'lost') return judged
  if (node.connection === null) return judgeGivingUp(node, judged.status, now, settings, company)
  const silenceAt = silentAt(node, settings, company.signsEveryMs)
  if (now < silenceAt) return judged
  const knownAt = Math.min(company.knownAt, silenceAt + company.heartbeatIntervalMs)
  if (now < knownAt) return { status: null, wakeAt: Math.min(knownAt, now + COMPANY_LOOK_MS) }
  return judgeGivingUp(node, judged.status, now, settings, company)
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
    return { status: aloneSince === null ? alone : null, wakeAt: now + COMPANY_LOOK_MS }
  }
  if (aloneSince === null || since < aloneSince) return { status: lost, wakeAt: null }
  const lostAt = since + settings.agentGraceMs + stalledMsSince(settings.stalls, since)
  return now < lostAt ? { status: null, wakeAt: lostAt } : { status: lost, wakeAt: null }
}

/** Whether another one is heard is not told by any mark. */
const COMPANY_LOOK_MS = 250

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

function judgeConnected(node: Node, now: Instant, settings: DecideSettings, company: Company): LivenessJudgement {
  const silenceAt = silentAt(node, settings, company.signsEveryMs)
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

export function earliest(...instants: (Instant | null)[]): Instant | null {
  const known = instants.filter((instant) => instant !== null)
  return known.length === 0 ? null : Math.min(...known)
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`
}
