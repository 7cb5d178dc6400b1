/** One agent's session: what it is, and the few things that can be done to it whatever it does itself. */
import type { Clock, Instant } from '../../shared/clock.ts'
import { BerthError, type ErrorCode } from '../../shared/errors.ts'
import type { Log } from '../../shared/log.ts'
import { WIRE_TEXT_CHARS_MAX, wellFormedBrief } from '../../shared/text.ts'
import { encode, FRAME_BYTES_MAX } from '../../shared/wire/codec.ts'
import type { DownMessage } from '../../shared/wire/down.ts'
import type { Devices, Hello, LastMinute } from '../../shared/wire/up.ts'
import type { Core } from '../core.ts'
import type { Told } from '../decide/assignment.ts'
import type { Security } from '../security/security.ts'
import type { Limits } from './limits.ts'
import type { LogKeeping } from './log-keeping.ts'
import type { LogStreams } from './log-streams.ts'
import type { AgentSocket } from './socket.ts'
import type { TokenBucket } from './token-bucket.ts'

/** In this order, never back; `contending` only when another session has the name. */
export type SessionState =
  | { name: 'greeting'; since: Instant }
  | { name: 'contending'; since: Instant; hello: Hello; wireVersion: number }
  /** `observed`: the full observation is there, and the assignment follows as soon as it is durable. */
  | { name: 'observing'; since: Instant; hello: Hello; observed: boolean }
  | { name: 'open'; since: Instant; hello: Hello; told: Told }
  | { name: 'closed'; why: string }

export type Session = {
  readonly node: string
  /** Of the key that the certificate is for. */
  readonly keyFingerprint: string
  /** Of the latest that was signed for it. */
  certificateEndsAt: Instant
  readonly address: string
  readonly socket: AgentSocket
  readonly bucket: TokenBucket
  readonly notices: TokenBucket
  state: SessionState
  heardAt: Instant
  /** When it answered a ping last; 0: never. */
  answeredAt: Instant
  /** The latest that the world knows of it: a message, or a sign of life that it was told of. */
  toldAt: Instant
  /** Of the latest heartbeat; -1 before the first. */
  sequence: number
  /** The agent said that it stops on purpose, and why. */
  goodbye: string | null
  /** A certificate is being signed for it. */
  signing: boolean
}

/** What all sessions share. */
export type Sessionry = {
  core: Core
  security: Security
  settings: SessionSettings
  limits: Limits
  log: Log
  now: () => Instant
  clock: Clock
  /** Every socket that was let in. */
  all: Set<Session>
  /** How many of these each node has. */
  countByNode: Map<string, number>
  /** Sessions that were welcomed: one for a node. */
  byNode: Map<string, Session>
  /** Sessions that wait for the older one of their name to show that it lives. */
  contenders: Map<string, Session>
  logs: LogStreams
  /** Null: no log lines are kept here. */
  keeping: LogKeeping | null
  /** Told how it came to what the agent is about to say of these tasks; absent: nobody asks for that. */
  lastMinutes?: (node: string, tasks: readonly LastMinute[]) => void
  /** Told what has gone through each of the node's devices; absent: nobody asks for that. */
  devices?: (node: string, devices: Devices) => void
  counts: SessionCounts
}

export type SessionSettings = { heartbeatIntervalMs: number }

/** Since the start of the coordinator, for metrics. */
export type SessionCounts = {
  framesReceived: number
  bytesReceived: number
  framesSent: number
  bytesSent: number
  opened: number
  closed: number
  /** By code or kind of offence. */
  refused: Map<string, number>
  pauses: number
  logLinesDropped: number
}

/** Why a session is not to be. `offence` is for the metrics; `code` and `message` are told to the agent. */
export type Refusal = { offence: string; code: ErrorCode; message: string; retry: boolean }

export function send(shared: Sessionry, session: Session, message: DownMessage): void {
  if (session.state.name === 'closed') return
  if (session.socket.bufferedBytes > shared.limits.sendBufferBytesMax) {
    count(shared.counts.refused, 'slow')
    end(
      shared,
      session,
      `it took too little of what it was sent (${session.socket.bufferedBytes} bytes wait)`,
      'at-once',
    )
    return
  }
  const frame = encodeOrNull(message)
  if (frame === null) {
    refuse(shared, session, tooLarge(message.kind))
    return
  }
  shared.counts.framesSent++
  shared.counts.bytesSent += frame.length
  session.socket.send(frame)
}

/** Tells the agent why, then closes. Nothing that it sends afterwards is looked at. */
export function refuse(shared: Sessionry, session: Session, refusal: Refusal): void {
  if (session.state.name === 'closed') return
  count(shared.counts.refused, refusal.offence)
  shared.log.warn(
    { node: session.node, address: session.address, code: refusal.code, offence: refusal.offence },
    `refused ${session.node}: ${refusal.message}`,
  )
  const message = wellFormedBrief(refusal.message, WIRE_TEXT_CHARS_MAX)
  session.socket.send(encode({ kind: 'refused', code: refusal.code, message, retry: refusal.retry }))
  end(shared, session, refusal.message)
}

/** The one way in which a session ends, whoever wants it; the world hears of it once, and only if it heard of the beginning. */
export function end(shared: Sessionry, session: Session, why: string, how: 'politely' | 'at-once' = 'politely'): void {
  const before = session.state
  if (before.name === 'closed') return
  session.state = { name: 'closed', why }
  forget(shared, session)
  if (shared.contenders.get(session.node) === session) shared.contenders.delete(session.node)
  if (how === 'politely') session.socket.close(why)
  else session.socket.cutOff()

  if (before.name !== 'observing' && before.name !== 'open') return
  shared.byNode.delete(session.node)
  shared.counts.closed++
  shared.logs.nodeClosed(session.node)
  shared.keeping?.nodeClosed(session.node)
  shared.core.observe({
    kind: 'disconnected',
    node: session.node,
    instance: before.hello.instance,
    why: session.goodbye ?? why,
    goodbye: session.goodbye !== null,
  })
}

export function remember(shared: Sessionry, session: Session): void {
  shared.all.add(session)
  count(shared.countByNode, session.node)
}

function forget(shared: Sessionry, session: Session): void {
  if (!shared.all.delete(session)) return
  const left = (shared.countByNode.get(session.node) ?? 0) - 1
  if (left > 0) shared.countByNode.set(session.node, left)
  else shared.countByNode.delete(session.node)
}

/** Null for what no frame can hold: thousands of tasks with enormous specs on one node. */
function encodeOrNull(message: DownMessage): Uint8Array | null {
  try {
    return encode(message)
  } catch (error) {
    if (error instanceof BerthError && error.code === 'too-large') return null
    throw error
  }
}

function tooLarge(kind: DownMessage['kind']): Refusal {
  const message = `the ${kind} for this node is larger than a frame may be (${FRAME_BYTES_MAX} bytes): place fewer or smaller tasks on it`
  return { offence: 'assignment-too-large', code: 'too-large', message, retry: false }
}

export function count(counts: Map<string, number>, what: string): void {
  counts.set(what, (counts.get(what) ?? 0) + 1)
}
