/**
 * Signs of life between heartbeats. A host that stands still for two seconds falls silent anywhere between two of its heartbeats, so
 * by these alone it is up to an interval more until one may say that it is away. In a small cluster agents are therefore asked
 * for a sign (a ping, which their websocket answers by itself) several times in an interval; in a large one that would cost
 * more than it gives.
 */

/** How often each of so many nodes is asked; null: heartbeats are all that is heard of them. */
export function signIntervalMs(nodes: number, heartbeatIntervalMs: number): number | null {
  const everyMs = Math.max(
    heartbeatIntervalMs / SIGNS_PER_HEARTBEAT,
    (nodes * 1000) / SIGNS_PER_SECOND_MAX,
    SIGN_INTERVAL_MS_MIN,
  )
  return everyMs <= heartbeatIntervalMs / 2 ? everyMs : null
}

const SIGNS_PER_HEARTBEAT = 5
/** Of all nodes together: less than one hundredth of a core at the coordinator. */
const SIGNS_PER_SECOND_MAX = 100
const SIGN_INTERVAL_MS_MIN = 100

/** From here on a heartbeat is late, and other signs of life begin to count. */
export function heartbeatLateMs(heartbeatIntervalMs: number): number {
  return LATE_FACTOR * heartbeatIntervalMs
}

const LATE_FACTOR = 1.1
