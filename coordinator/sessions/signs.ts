/**
 * Asks agents for signs of life between their heartbeats, and tells the world of those that matter: where the heartbeat is late.
 * See decide/signs.ts for what they are good for.
 */
import type { Timer } from '../../shared/clock.ts'
import { heartbeatLateMs, signIntervalMs } from '../decide/signs.ts'
import type { Session, Sessionry } from './session.ts'

/** Asks all sessions in rounds until it is stopped; how often is looked at anew each time, as nodes come and go. */
export function createSignRound(shared: Sessionry): Timer {
  const { heartbeatIntervalMs } = shared.settings
  let timer: Timer
  const next = () => {
    const everyMs = signIntervalMs(shared.core.world.nodes.size, heartbeatIntervalMs)
    timer = shared.clock.after(everyMs ?? heartbeatIntervalMs, () => {
      if (everyMs !== null) for (const session of shared.byNode.values()) ask(shared, session)
      next()
    })
  }
  next()
  return { stop: () => timer.stop() }
}

function ask(shared: Sessionry, session: Session): void {
  tellIfLate(shared, session)
  session.socket.ping()
}

/** An answer to a ping came. */
export function answered(shared: Sessionry, session: Session): void {
  session.heardAt = shared.now()
  session.answeredAt = session.heardAt
  tellIfLate(shared, session)
}

/** What came before the heartbeat was late is told as soon as it is: silence begins there, not at the heartbeat before. */
function tellIfLate(shared: Sessionry, session: Session): void {
  const { node, answeredAt, toldAt } = session
  const isLate = shared.now() - toldAt > heartbeatLateMs(shared.settings.heartbeatIntervalMs)
  if (!isLate || answeredAt <= toldAt || shared.byNode.get(node) !== session) return
  session.toldAt = answeredAt
  shared.core.observe({ kind: 'sign-of-life', node, seenAt: answeredAt })
}
