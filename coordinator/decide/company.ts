/**
 * Whether others are heard while a node is not. When nobody is, it may well be the coordinator that is cut off: then no node
 * is given up, since nothing could be placed elsewhere anyway, and the first to return would be given everybody's tasks
 * (docs/decisions/nobody-heard.md).
 */
import type { Instant } from '../../shared/clock.ts'
import type { Node } from '../world.ts'
import { heartbeatIntervalOf } from './heartbeat-interval.ts'
import type { DecideSettings } from './settings.ts'
import { heartbeatLateMs, signIntervalMs } from './signs.ts'
import { silentAt } from './silence.ts'

export type Company = {
  nodes: readonly Node[]
  /** The latest word of anybody. */
  heardAt: Instant
  /** The longest interval of heartbeats that one of them has been told. */
  heartbeatIntervalMs: number
  /** How often each is asked for a sign of life; null: it is not. */
  signsEveryMs: number | null
  /**
   * Some have fallen silent, and it is not known yet whether for good: at this instant it will be, of all of them. Hosts that go
   * together (a rack, its switch) have spoken last at different moments. Were the first of them given up alone, its tasks would
   * be placed on those that are about to follow, and the order in which they are found out would decide who gets the room.
   */
  knownAt: Instant
}

export function companyOf(nodes: ReadonlyMap<string, Node>, now: Instant, settings: DecideSettings): Company {
  const signsEveryMs = signIntervalMs(nodes.size, settings.heartbeatIntervalMs)
  let heartbeatIntervalMs = settings.heartbeatIntervalMs
  let heardAt = 0
  let knownAt = 0
  for (const node of nodes.values()) {
    if (!node.connection) continue
    heardAt = Math.max(heardAt, node.heard.lastAt)
    const intervalMs = heartbeatIntervalOf(node, settings.heartbeatIntervalMs)
    heartbeatIntervalMs = Math.max(heartbeatIntervalMs, intervalMs)
    if (node.status.name !== 'ready' || node.heard.lastAt > now - QUIET_FACTOR * intervalMs) continue
    knownAt = Math.max(knownAt, silentAt(node, settings, signsEveryMs))
  }
  return { nodes: nodes.values().toArray(), heardAt, heartbeatIntervalMs, signsEveryMs, knownAt }
}

/** One heartbeat is missing, and so is the sign of life that it would have been asked for then. */
const QUIET_FACTOR = 1.5

/**
 * Since when others have been ready that are heard now, and were after this node should have been: the earliest of them. Null:
 * there is none. Heartbeats do not come at the same instant, so a little more than one interval is how long "now" lasts.
 */
export function companySince(node: Node, company: Company, now: Instant, settings: DecideSettings): Instant | null {
  const intervalMs = heartbeatLateMs(company.heartbeatIntervalMs)
  const missedAt = Math.max(node.heard.lastAt, settings.coordinatorStartedAt) + intervalMs
  const heardFrom = Math.max(missedAt, now - intervalMs)
  if (company.heardAt < heardFrom) return null
  let since: Instant | null = null
  for (const { name, status, connection, heard } of company.nodes) {
    if (name === node.name || status.name !== 'ready' || !connection || heard.lastAt < heardFrom) continue
    if (since === null || status.since < since) since = status.since
  }
  return since
}
