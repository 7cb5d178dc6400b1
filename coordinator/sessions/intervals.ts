/** Tells agents how often to send heartbeats, as the fleet grows and shrinks. See decide/heartbeat-interval.ts for why. */
import { HEARTBEAT_INTERVAL_SINCE } from '../../shared/wire/version.ts'
import { heartbeatIntervalFor } from '../decide/heartbeat-interval.ts'
import { type Session, type Sessionry, send } from './session.ts'

/** So many are told a second, so that nobody waits for it. */
const TOLD_AT_ONCE = 500

/** For a fleet of this size. */
export function intervalNow({ core, settings }: Sessionry): number {
  return heartbeatIntervalFor(core.world.nodes.size, settings.heartbeatIntervalMs, settings.heartbeatsPerSecondMax)
}

/** Looks whom to tell; asked once a second. Agents of an older version keep to what their welcome said. */
export function tellIntervals(shared: Sessionry): void {
  const intervalMs = intervalNow(shared)
  let told = 0
  for (const session of shared.byNode.values()) {
    if (session.heartbeatIntervalMs === intervalMs || session.wireVersion < HEARTBEAT_INTERVAL_SINCE) continue
    tell(shared, session, intervalMs)
    if (++told === TOLD_AT_ONCE) return
  }
}

/**
 * Longer ones may come from the moment they are told; shorter ones count once the first has come, or a node would be too quiet
 * because of what it has not heard yet.
 */
function tell(shared: Sessionry, session: Session, heartbeatIntervalMs: number): void {
  const { node } = session
  const isLonger = heartbeatIntervalMs > session.heartbeatIntervalMs
  session.heartbeatIntervalMs = heartbeatIntervalMs
  session.intervalToCome = isLonger ? null : heartbeatIntervalMs
  if (isLonger) shared.core.observe({ kind: 'heartbeat-interval', node, heartbeatIntervalMs })
  send(shared, session, { kind: 'heartbeat-interval', heartbeatIntervalMs })
}

/** A heartbeat has come. */
export function beatCame(shared: Sessionry, session: Session): void {
  const { node, intervalToCome } = session
  if (intervalToCome === null) return
  session.intervalToCome = null
  shared.core.observe({ kind: 'heartbeat-interval', node, heartbeatIntervalMs: intervalToCome })
}
