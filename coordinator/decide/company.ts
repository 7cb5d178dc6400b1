/**
 * Whether others are heard while a node is not. When nobody is, it may well be the coordinator that is cut off: then no node
 * is given up, since nothing could be placed elsewhere anyway, and the first to return would be given everybody's tasks
 * (docs/decisions/nobody-heard.md).
 */
import type { Instant } from '../../shared/clock.ts'
import type { Node } from '../world.ts'
import type { DecideSettings } from './settings.ts'

export type Company = {
  nodes: Iterable<Node>
  /** The latest word of anybody. */
  heardAt: Instant
}

export function companyOf(nodes: ReadonlyMap<string, Node>): Company {
  let heardAt = 0
  for (const { connection, heard } of nodes.values()) if (connection) heardAt = Math.max(heardAt, heard.lastAt)
  return { nodes: nodes.values().toArray(), heardAt }
}

/**
 * Since when others have been ready that are heard now, and were after this node should have been: the earliest of them. Null:
 * there is none. Heartbeats do not come at the same instant, so a little more than one interval is how long "now" lasts.
 */
export function companySince(node: Node, company: Company, now: Instant, settings: DecideSettings): Instant | null {
  const intervalMs = settings.silenceMinMs / 2
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
