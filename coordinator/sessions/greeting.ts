/** From hello to welcome: versions, the name, and a second agent of the same name. */
import type { Hello } from '../../shared/wire/up.ts'
import { agreeOnVersion, WIRE_VERSION, WIRE_VERSION_MIN } from '../../shared/wire/version.ts'
import { intervalNow } from './intervals.ts'
import { end, type Refusal, refuse, type Session, type Sessionry, send } from './session.ts'

/** Welcomes, or lets wait, or answers why not. */
export function greet(shared: Sessionry, session: Session, hello: Hello): Refusal | null {
  const agreement = agreeOnVersion(
    { version: WIRE_VERSION, versionMin: WIRE_VERSION_MIN },
    { who: `agent of ${session.node}`, version: hello.version, versionMin: hello.versionMin },
  )
  if (!agreement.ok) return versionMismatch(agreement.reason)
  if (hello.node !== session.node) return otherName(session.node, hello.node)

  const holder = shared.byNode.get(session.node)
  const waiting = { name: 'contending' as const, since: shared.now(), hello, wireVersion: agreement.version }
  session.state = waiting
  if (holder !== undefined && instanceOf(holder) !== hello.instance) return contend(shared, session, holder)
  if (holder !== undefined) end(shared, holder, 'the same agent connected again', 'at-once')
  welcome(shared, session, waiting)
  return null
}

/**
 * Two agents claim one name. Most often the older connection is dead and nobody has noticed yet; if it answers, there really
 * are two hosts with one key, and the one that was there first stays.
 */
function contend(shared: Sessionry, session: Session, holder: Session): Refusal | null {
  if (shared.contenders.has(session.node)) return nameTaken(shared, session.node, true)
  shared.contenders.set(session.node, session)
  holder.socket.ping()
  shared.clock.after(shared.limits.duplicatePingMs, () => {
    const { state } = session
    if (state.name !== 'contending') return
    shared.contenders.delete(session.node)
    const silent = shared.byNode.get(session.node)
    if (silent !== undefined) end(shared, silent, 'it did not answer when the agent connected anew', 'at-once')
    welcome(shared, session, state)
  })
  return null
}

/** The older session has answered. */
export function holderLives(shared: Sessionry, holder: Session): void {
  const contender = shared.contenders.get(holder.node)
  if (contender === undefined) return
  refuse(shared, contender, nameTaken(shared, holder.node, false))
}

function welcome(
  shared: Sessionry,
  session: Session,
  { hello, wireVersion }: Session['state'] & { name: 'contending' },
): void {
  const now = shared.now()
  const heartbeatIntervalMs = intervalNow(shared)
  session.state = { name: 'observing', since: now, hello, observed: false }
  session.wireVersion = wireVersion
  session.heartbeatIntervalMs = heartbeatIntervalMs
  shared.byNode.set(session.node, session)
  shared.counts.opened++
  send(shared, session, {
    kind: 'welcome',
    version: wireVersion,
    cluster: shared.security.cluster,
    heartbeatIntervalMs,
    at: now,
  })
  shared.core.observe({
    kind: 'connected',
    node: session.node,
    hello,
    connection: { instance: hello.instance, openedAt: now, address: session.address, wireVersion, heartbeatIntervalMs },
  })
}

function instanceOf(session: Session): string | null {
  return session.state.name === 'observing' || session.state.name === 'open' ? session.state.hello.instance : null
}

function versionMismatch(message: string): Refusal {
  return { offence: 'version-mismatch', code: 'version-mismatch', message, retry: false }
}

function otherName(certified: string, claimed: string): Refusal {
  const message = `the certificate is of node ${certified}, the agent calls itself ${claimed}: join again under one name`
  return { offence: 'other-name', code: 'certificate-mismatch', message, retry: false }
}

function nameTaken(shared: Sessionry, node: string, retry: boolean): Refusal {
  const address = shared.byNode.get(node)?.address ?? 'another address'
  const message =
    `an agent of node ${node} is connected from ${address} already: two agents must not share a name and a data folder. ` +
    `Stop one, or give this one a folder of its own and join it with --name`
  return { offence: 'name-taken', code: 'name-taken', message, retry }
}
