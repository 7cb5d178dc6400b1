/**
 * How often agents send heartbeats. All of them together send no more than the coordinator takes in passing, so that a large fleet at
 * rest costs no more than a middling one: from some two thousand nodes on the interval grows with them (docs/decisions/liveness.md).
 */
import type { Node } from '../world.ts'

/** Of all nodes together; about a sixth of a core at the coordinator. */
export const HEARTBEATS_PER_SECOND_MAX = 2_000

/** Whole multiples of the interval of small clusters, so that one node more or less seldom changes it for all. */
export function heartbeatIntervalFor(
  nodes: number,
  intervalMs: number,
  perSecondMax: number = HEARTBEATS_PER_SECOND_MAX,
): number {
  return intervalMs * Math.max(1, Math.ceil((nodes * 1000) / (intervalMs * perSecondMax)))
}

/** What the node's agent has been told; `intervalMs`: of small clusters. */
export function heartbeatIntervalOf({ connection }: Pick<Node, 'connection'>, intervalMs: number): number {
  return connection?.heartbeatIntervalMs ?? intervalMs
}
