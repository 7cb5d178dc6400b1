/** What each message of an agent does, and in which state of the session it may come. */
import { X509Certificate } from 'node:crypto'
import { decodeUp } from '../../shared/wire/codec.ts'
import { decodeLogFrame, isLogFrame } from '../../shared/wire/log-block.ts'
import type { CertificateRequest, ObservationMessage, UpMessage } from '../../shared/wire/up.ts'
import { assignmentOf, changeFrom, toldBy } from '../decide/assignment.ts'
import { greet } from './greeting.ts'
import { count, end, type Refusal, refuse, type Session, type Sessionry, type SessionState, send } from './session.ts'
import { take } from './token-bucket.ts'

/** One frame: counted, held to the rate, checked at the door, then acted on or refused with the session. */
export function receive(shared: Sessionry, session: Session, frame: Uint8Array): void {
  if (session.state.name === 'closed') return
  const now = shared.now()
  session.heardAt = now
  session.toldAt = now
  shared.counts.framesReceived++
  shared.counts.bytesReceived += frame.length
  const waitMs = take(session.bucket, shared.limits.messagesPerSecond, shared.limits.messagesBurst, now)
  if (waitMs > 0) slowDown(shared, session, waitMs)

  const refusal = handle(shared, session, frame)
  if (refusal !== null) refuse(shared, session, refusal)
}

function handle(shared: Sessionry, session: Session, frame: Uint8Array): Refusal | null {
  if (isLogFrame(frame)) return keepLines(shared, session, frame)
  const decoded = decodeUp(frame)
  if (!decoded.ok) return badFrame(decoded.code, decoded.reason)
  const state = session.state.name
  const { message } = decoded
  if (!MAY_COME[state].has(message.kind)) return outOfOrder(state, message.kind)
  return act(shared, session, message)
}

function keepLines(shared: Sessionry, session: Session, frame: Uint8Array): Refusal | null {
  const blocks = decodeLogFrame(frame)
  if (typeof blocks === 'string') return badFrame('wrong-type', `blocks of log lines: ${blocks}`)
  if (session.state.name !== 'open') return outOfOrder(session.state.name, 'log-blocks')
  shared.keeping?.blocks(session.node, blocks)
  return null
}

/**
 * A heartbeat may come before the full observation: an Engine that takes long to list its containers is no dead host. So may
 * a request for a certificate: that of a host which was off for long is due at once, whatever its Engine does.
 */
const ALWAYS_AFTER_WELCOME = [
  'inventory',
  'last-minutes',
  'devices',
  'observation',
  'heartbeat',
  'notice',
  'certificate-request',
  'goodbye',
] as const
const MAY_COME: Record<SessionState['name'], ReadonlySet<UpMessage['kind']>> = {
  greeting: new Set(['hello']),
  contending: new Set([]),
  observing: new Set(ALWAYS_AFTER_WELCOME),
  open: new Set([...ALWAYS_AFTER_WELCOME, 'resync', 'log-lines', 'log-end', 'log-sources', 'log-looked']),
  closed: new Set([]),
}

function act(shared: Sessionry, session: Session, message: UpMessage): Refusal | null {
  const { node } = session
  switch (message.kind) {
    case 'heartbeat': {
      if (message.sequence <= session.sequence) return replayed(message.sequence, session.sequence)
      session.sequence = message.sequence
      const { revision, load, containers, at: hostAt } = message
      shared.core.observe({ kind: 'heartbeat', node, revision, load, containers, hostAt })
      return null
    }
    case 'last-minutes':
      shared.lastMinutes?.(node, message.tasks)
      return null
    case 'devices':
      shared.devices?.(node, message)
      return null
    case 'inventory':
      shared.core.observe({ kind: 'inventory', node, inventory: message.inventory })
      return null
    case 'observation':
      return observed(shared, session, message)
    case 'notice':
      if (mayNote(shared, session)) shared.core.observe({ kind: 'notice', node, notice: message })
      else count(shared.counts.refused, 'too-many-notices')
      return null
    case 'log-lines':
      shared.logs.lines(node, message)
      return null
    case 'log-end':
      shared.logs.ended(node, message)
      return null
    case 'log-sources':
      shared.keeping?.sources(node, message)
      return null
    case 'log-looked':
      shared.keeping?.looked(node, message)
      return null
    case 'resync':
      shared.log.info(
        { node, revision: message.revision },
        `${node} asks for its complete assignment: ${message.reason}`,
      )
      shared.core.whenDurable(() => sendEverything(shared, session))
      return null
    case 'certificate-request':
      if (session.signing) return oneAtATime()
      void renew(shared, session, message)
      return null
    case 'goodbye':
      session.goodbye = message.reason
      end(shared, session, message.reason)
      return null
    case 'hello':
      return greet(shared, session, message)
  }
}

/** The first must be full; the complete assignment answers it. */
function observed(shared: Sessionry, session: Session, message: ObservationMessage): Refusal | null {
  const { state } = session
  const isFirst = state.name === 'observing' && !state.observed
  if (isFirst && !message.full) return notFull()
  const { full, revision, engine, tasks, gone } = message
  shared.core.observe({ kind: 'tasks', node: session.node, full, revision, engine, tasks, gone })
  if (!isFirst) return null
  state.observed = true
  shared.core.whenDurable(() => {
    if (session.state !== state) return
    sendEverything(shared, session)
    shared.logs.nodeOpened(session.node)
  })
  return null
}

/** The complete assignment; the session counts as open from here. */
function sendEverything(shared: Sessionry, session: Session): void {
  const { state } = session
  if (state.name !== 'observing' && state.name !== 'open') return
  const content = assignmentOf(shared.core.world, session.node)
  session.state = { name: 'open', since: shared.now(), hello: state.hello, told: toldBy(content) }
  send(shared, session, { kind: 'assignment', ...content })
}

/** What differs from what it was told, if anything does. */
export function sendChange(shared: Sessionry, session: Session): void {
  const { state } = session
  if (state.name !== 'open') return
  const change = changeFrom(state.told, shared.core.world, session.node)
  if (change !== null) send(shared, session, change)
}

async function renew(shared: Sessionry, session: Session, { request }: CertificateRequest): Promise<void> {
  session.signing = true
  try {
    const { certificatePem, keyFingerprint } = await shared.security.sign(request, session.node)
    if (keyFingerprint !== session.keyFingerprint) refuse(shared, session, otherKey(session.node))
    else {
      session.certificateEndsAt = new X509Certificate(certificatePem).validToDate.getTime()
      send(shared, session, { kind: 'certificate', certificate: certificatePem })
    }
  } catch (error) {
    shared.log.warn({ node: session.node, error }, `could not sign a certificate for ${session.node}`)
    refuse(shared, session, badRequest(error))
  } finally {
    session.signing = false
  }
}

/** Those beyond the rate are left out and counted; they cost no debt, so that the first after a flood is told again. */
function mayNote(shared: Sessionry, { notices }: Session): boolean {
  const { noticesPerSecond, noticesBurst } = shared.limits
  if (take(notices, noticesPerSecond, noticesBurst, shared.now()) === 0) return true
  notices.tokens++
  return false
}

function slowDown(shared: Sessionry, session: Session, waitMs: number): void {
  shared.counts.pauses++
  session.socket.pause()
  shared.clock.after(waitMs, () => session.socket.resume())
}

export function badFrame(offence: string, reason: string): Refusal {
  const code = offence === 'too-large' ? 'too-large' : 'invalid-request'
  return {
    offence,
    code,
    message: `the agent sent what is no message: ${reason}. Is it damaged, or another program?`,
    retry: false,
  }
}

function outOfOrder(state: SessionState['name'], kind: UpMessage['kind'] | 'log-blocks'): Refusal {
  const message =
    state === 'greeting'
      ? `the first message must be hello, not ${kind}`
      : `${kind} may not come while the session is ${state}`
  return { offence: 'out-of-order', code: 'invalid-request', message, retry: false }
}

function notFull(): Refusal {
  const message = 'the first observation of a connection must be a full one'
  return { offence: 'out-of-order', code: 'invalid-request', message, retry: false }
}

function replayed(sequence: number, latest: number): Refusal {
  const message = `heartbeat ${sequence} came after ${latest}: it is replayed or out of order`
  return { offence: 'replayed', code: 'invalid-request', message, retry: true }
}

function oneAtATime(): Refusal {
  const message = 'a second certificate was asked for before the first was signed'
  return { offence: 'out-of-order', code: 'too-many-requests', message, retry: true }
}

function otherKey(node: string): Refusal {
  const message = `the certificate request is for another key than the one node ${node} joined with`
  return { offence: 'other-key', code: 'certificate-mismatch', message, retry: false }
}

function badRequest(error: unknown): Refusal {
  const message = error instanceof Error ? error.message : String(error)
  return { offence: 'bad-request', code: 'invalid-request', message, retry: true }
}
