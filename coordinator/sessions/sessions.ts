/** All agents' sessions: lets agents in at `/v1/agent`, keeps the world told and the agents' assignments current. */
import { X509Certificate } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { Server } from 'node:https'
import type { Duplex } from 'node:stream'
import { type Clock, type Instant, systemClock } from '../../shared/clock.ts'
import type { Log } from '../../shared/log.ts'
import type { DownMessage } from '../../shared/wire/down.ts'
import type { Port } from '../connections/port.ts'
import type { Core, Dispatcher, LogReader } from '../core.ts'
import type { LogStore } from '../logs/log-store.ts'
import type { Security } from '../security/security.ts'
import { type Caller, callerOf, judgeCaller } from './door.ts'
import { holderLives } from './greeting.ts'
import { type Limits, limitsFor } from './limits.ts'
import { createLogKeeping } from './log-keeping.ts'
import { createLogStreams } from './log-streams.ts'
import { badFrame, receive, sendChange } from './messages.ts'
import {
  count,
  end,
  type Refusal,
  refuse,
  remember,
  type Session,
  type SessionCounts,
  type Sessionry,
  type SessionSettings,
  send,
} from './session.ts'
import { answered, createSignRound } from './signs.ts'
import { type AgentSocket, createDoorway, type SocketListener } from './socket.ts'
import { fullBucket } from './token-bucket.ts'

export interface Sessions extends Dispatcher, LogReader {
  /** Takes over upgrades of the server to `/v1/agent`. The server must ask for client certificates (see httpsOptions). */
  attach(server: Server): void
  /** Begins a session over a line that has been let in; null, and nothing has begun, when there is no room for it. */
  open(caller: NonNullable<Caller>, address: string, socket: AgentSocket): SocketListener | null
  /** Closes the node's session, if it has one; the agent connects again. */
  kick(node: string, why: string): void
  /** Whether the node's agent is connected and has told everything. */
  isOpen(node: string): boolean
  /** Told of each node whose connection is gone. Returns the way to stop. */
  onNodeClosed(listener: (node: string) => void): () => void
  /** Resolves when all that was written on these nodes by now is kept, or after a moment. */
  look(nodes: Iterable<string>): Promise<void>
  /** Of the connected nodes. */
  certificateEnds(): { node: string; endsAt: Instant }[]
  /** For metrics; counts are since the start. */
  stats(): SessionCounts & { sessions: number; welcomed: number }
  /** Says goodbye to every agent and lets none in any more. Agents connect again to whoever comes next. */
  close(): Promise<void>
}

export type SessionsOptions = {
  core: Core
  security: Security
  settings: SessionSettings
  log: Log
  /** Absent: log lines are not kept. */
  logStore?: LogStore
  /** Told of the last minutes of tasks, before the observation that says what went bad of them. */
  lastMinutes?: Sessionry['lastMinutes']
  /** Told now and then, of each node. */
  devices?: Sessionry['devices']
  /** Bounds who is connected; told of each that is let in. */
  port?: Port
  clock?: Clock
  /** The time of day; the clock's unless a test sets another. */
  now?: () => Instant
  /** For tests; see LIMITS. */
  limits?: Partial<Limits>
}

export const AGENT_PATH = '/v1/agent'
const SWEEP_INTERVAL_MS = 1_000

export function createSessions({
  core,
  security,
  settings,
  log,
  limits,
  port,
  logStore,
  lastMinutes,
  devices,
  ...given
}: SessionsOptions): Sessions {
  const { clock = systemClock, now = clock.now } = given
  const doorway = createDoorway()
  const caKey = new X509Certificate(security.caCertificatePem).publicKey
  const allLimits = limitsFor(settings.heartbeatIntervalMs, limits)
  const isOpen = (node: string) => shared.byNode.get(node)?.state.name === 'open'
  const sendTo = (node: string, message: DownMessage) => {
    const session = shared.byNode.get(node)
    if (session !== undefined) send(shared, session, message)
  }
  const shared: Sessionry = {
    core,
    security,
    settings,
    limits: allLimits,
    log,
    now,
    clock,
    all: new Set(),
    countByNode: new Map(),
    byNode: new Map(),
    contenders: new Map(),
    lastMinutes,
    devices,
    logs: createLogStreams({
      isOpen,
      send: sendTo,
      readersMax: allLimits.logReadersMax,
      dropped: (lines) => {
        shared.counts.logLinesDropped += lines
      },
      now,
    }),
    keeping: logStore
      ? createLogKeeping({
          store: logStore,
          world: () => core.world,
          isOpen,
          send: sendTo,
          notice: (node, said) =>
            core.observe({ kind: 'notice', node, notice: { kind: 'notice', at: now(), ...said } }),
        })
      : null,
    counts: noCounts(),
  }
  let closing = false
  let sweptAt = now()
  const sweeper = clock.every(SWEEP_INTERVAL_MS, () => {
    const lateMs = now() - sweptAt - SWEEP_INTERVAL_MS
    sweptAt = now()
    // This process was stopped, or its clock jumped: what agents said meanwhile lies unread or is on its way again.
    if (lateMs > SWEEP_INTERVAL_MS) hearAnew(shared)
    else sweep(shared)
  })
  const signRound = createSignRound(shared)

  function letIn(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const caller = callerOf(request.socket, caKey)
    const { sessionsMax, sessionsOfNodeMax } = shared.limits
    if (caller === null) {
      count(shared.counts.refused, 'stranger')
      answer(
        socket,
        '401 Unauthorized',
        `agents show the certificate that they got when they joined ${security.cluster}`,
      )
    } else if (closing) {
      answer(socket, '503 Service Unavailable', 'the coordinator stops')
    } else if (shared.all.size >= sessionsMax) {
      answer(socket, '503 Service Unavailable', `${sessionsMax} agents are connected already`)
    } else if ((shared.countByNode.get(caller.node) ?? 0) >= sessionsOfNodeMax) {
      const detail = `${sessionsOfNodeMax} connections of node ${caller.node} are open already`
      answer(socket, '503 Service Unavailable', detail)
    } else {
      port?.authenticated(request.socket)
      doorway.open(request, socket, head, (agentSocket) => {
        request.socket.setNoDelay(true)
        request.socket.setKeepAlive(true, 10_000)
        return begin(shared, caller, request.socket.remoteAddress ?? 'unknown', agentSocket)
      })
    }
  }

  return {
    attach(server) {
      port?.watch(server, shared.limits.sessionsMax + shared.limits.operatorConnectionsMax)
      server.on('upgrade', (request, socket, head) => {
        // Whatever goes wrong on it before the websocket takes over must not end the process.
        socket.on('error', () => socket.destroy())
        if (pathOf(request) === AGENT_PATH) letIn(request, socket, head)
        else if (server.listenerCount('upgrade') === 1)
          answer(socket, '404 Not Found', `agents connect to ${AGENT_PATH}`)
      })
    },
    open(caller, address, socket) {
      const { sessionsMax, sessionsOfNodeMax } = shared.limits
      const isFull = shared.all.size >= sessionsMax || (shared.countByNode.get(caller.node) ?? 0) >= sessionsOfNodeMax
      return closing || isFull ? null : begin(shared, caller, address, socket)
    },
    nodesChanged(nodes) {
      for (const node of nodes) {
        const session = shared.byNode.get(node)
        if (session !== undefined && !endIfUnknown(shared, session)) sendChange(shared, session)
      }
    },
    kick(node, why) {
      const session = shared.byNode.get(node)
      if (session !== undefined) end(shared, session, why)
    },
    read: (query) => shared.logs.read(query),
    isOpen,
    onNodeClosed: (listener) => shared.keeping?.onNodeClosed(listener) ?? (() => {}),
    look: async (nodes) => shared.keeping?.look(nodes),
    certificateEnds: () =>
      shared.byNode
        .values()
        .map(({ node, certificateEndsAt: endsAt }) => ({ node, endsAt }))
        .toArray(),
    stats: () => ({ ...shared.counts, sessions: shared.all.size, welcomed: shared.byNode.size }),
    async close() {
      closing = true
      sweeper.stop()
      signRound.stop()
      shared.logs.closeAll()
      // The world is not told: the next start finds the agents as it finds them, and none of them has gone.
      for (const session of shared.all) {
        session.state = { name: 'closed', why: 'the coordinator stops' }
        session.socket.close('the coordinator stops')
      }
      shared.all.clear()
      shared.countByNode.clear()
      shared.byNode.clear()
    },
  }
}

function begin(shared: Sessionry, caller: NonNullable<Caller>, address: string, socket: AgentSocket): SocketListener {
  const now = shared.now()
  const session: Session = {
    node: caller.node,
    keyFingerprint: caller.keyFingerprint,
    certificateEndsAt: caller.validUntil,
    address,
    socket,
    bucket: fullBucket(shared.limits.messagesBurst, now),
    notices: fullBucket(shared.limits.noticesBurst, now),
    state: { name: 'greeting', since: now },
    heardAt: now,
    answeredAt: 0,
    toldAt: now,
    sequence: -1,
    goodbye: null,
    signing: false,
  }
  remember(shared, session)
  const judgement = judgeCaller(caller, shared.core.world, now)
  if (!judgement.ok) refuse(shared, session, judgement.refusal)
  return {
    frame: (bytes) => receive(shared, session, bytes),
    pong() {
      answered(shared, session)
      holderLives(shared, session)
    },
    broken: ({ code, reason }) => refuse(shared, session, badFrame(code, reason)),
    closed: (why) => end(shared, session, why, 'at-once'),
  }
}

/** Everything that must not last: looked at once a second, so that a session needs no timer of its own. */
function sweep(shared: Sessionry): void {
  const now = shared.now()
  const { helloTimeoutMs, observationTimeoutMs, silenceMs } = shared.limits
  for (const session of shared.all) {
    const { state } = session
    if (state.name === 'greeting' && now - state.since > helloTimeoutMs) {
      refuse(shared, session, tooLate('hello', helloTimeoutMs))
    } else if (state.name === 'observing' && !state.observed && now - state.since > observationTimeoutMs) {
      refuse(shared, session, tooLate('full observation', observationTimeoutMs))
    } else if (now - session.heardAt > silenceMs) {
      end(shared, session, `nothing was heard for ${silenceMs / 1000} s`, 'at-once')
    }
  }
  shared.logs.sweep()
}

function hearAnew(shared: Sessionry): void {
  const now = shared.now()
  for (const session of shared.all) {
    session.heardAt = now
    if (session.state.name !== 'closed') session.state.since = now
  }
}

/**
 * A node that was removed, or removed and joined again by another key, has no session any more. One whose removal a full disk
 * took back has a session that the world, in which there was no such node when it began, never heard of.
 */
function endIfUnknown(shared: Sessionry, session: Session): boolean {
  const node = shared.core.world.nodes.get(session.node)
  if (node?.keyFingerprint !== session.keyFingerprint) refuse(shared, session, removed(session.node))
  else if (node.connection === null) end(shared, session, 'it connected while its node was being removed', 'at-once')
  else return false
  return true
}

function removed(node: string): Refusal {
  const message = `node ${node} was removed from the cluster, and its certificate is refused from now on`
  return { offence: 'removed', code: 'certificate-mismatch', message, retry: false }
}

function tooLate(what: string, afterMs: number): Refusal {
  return { offence: 'timeout', code: 'timed-out', message: `no ${what} came within ${afterMs / 1000} s`, retry: true }
}

function pathOf(request: IncomingMessage): string {
  return (request.url ?? '').split('?', 1)[0] ?? ''
}

/** Plain HTTP for whoever is no agent of ours. */
function answer(socket: Duplex, status: string, detail: string): void {
  const body = JSON.stringify({ title: status.slice(4), status: Number(status.slice(0, 3)), detail })
  socket.end(
    `HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Type: application/problem+json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  )
  socket.once('finish', () => socket.destroy())
}

function noCounts(): SessionCounts {
  return {
    framesReceived: 0,
    bytesReceived: 0,
    framesSent: 0,
    bytesSent: 0,
    opened: 0,
    closed: 0,
    refused: new Map(),
    pauses: 0,
    logLinesDropped: 0,
  }
}
