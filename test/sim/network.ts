/**
 * The network between agents and the coordinator: TCP, so what arrives arrives whole, once and in order on its connection;
 * loss means that it comes late or that the connection breaks. Each direction of each host can be cut. Who is cut off learns
 * nothing; a connection whose other end is gone tells so when something arrives there.
 */
import type { CoordinatorListener, CoordinatorSocket } from '../../agent/link/socket.ts'
import type { AgentSocket, SocketListener } from '../../coordinator/sessions/socket.ts'
import type { Chance } from './chance.ts'
import type { Life } from './life.ts'
import type { Timeline } from './timeline.ts'

export type Direction = 'up' | 'down'

/** Who listens at the coordinator's port; null: nobody does. */
export type Listening = {
  life: Life
  /** Null: there is no room. */
  open(node: string, keyFingerprint: string, address: string, socket: AgentSocket): SocketListener | null
}

type Packet = { kind: 'frame'; bytes: Uint8Array } | { kind: 'ping' | 'pong' } | { kind: 'end'; why: string }

const HANDSHAKE_TIMEOUT_MS = 5_000
const CLOSE_GRACE_MS = 2_000
/** What the system takes off a sender's hands. */
const SYSTEM_BUFFER_BYTES = 256 * 1024
/** After a cut the sender tries again at growing intervals. */
const RESEND_MS_MAX = 3_000

export class Network {
  listening: Listening | null = null
  /** Of everything that goes over it; longer ones while the network is slow. */
  latencyMs: readonly [number, number] = [0.2, 2]
  readonly timeline: Timeline
  readonly chance: Chance
  /** How often each direction of each node is cut: faults may overlap. */
  private readonly cuts = new Map<string, number>()
  private readonly connections = new Set<Connection>()

  constructor(timeline: Timeline, chance: Chance) {
    this.timeline = timeline
    this.chance = chance
  }

  cut(node: string, direction: Direction): void {
    const key = `${node} ${direction}`
    this.cuts.set(key, (this.cuts.get(key) ?? 0) + 1)
  }

  mend(node: string, direction: Direction): void {
    const key = `${node} ${direction}`
    const left = (this.cuts.get(key) ?? 0) - 1
    this.cuts.set(key, Math.max(0, left))
    if (left > 0) return
    for (const connection of this.connections) if (connection.node === node) connection.mended(direction)
  }

  isCut(node: string, direction: Direction): boolean {
    return (this.cuts.get(`${node} ${direction}`) ?? 0) > 0
  }

  /** The node's connections break; what is under way is lost. */
  reset(node: string): void {
    for (const connection of [...this.connections]) if (connection.node === node) connection.reset()
  }

  /** The node's host is about to end without a word. */
  hostEnds(node: string): void {
    for (const connection of this.connections) if (connection.node === node) connection.silentEnd = true
  }

  latency(): number {
    return this.chance.skewed(...this.latencyMs)
  }

  connect(node: string, key: string, life: Life, listener: CoordinatorListener): CoordinatorSocket {
    const connection = new Connection(this, node, key, life, listener)
    this.connections.add(connection)
    return connection.agentsEnd()
  }

  forget(connection: Connection): void {
    this.connections.delete(connection)
  }
}

/** One side of a connection. `closed` is told once; after it nothing is. */
type End = {
  life: Life
  isOpen: boolean
  frame(bytes: Uint8Array): void
  pong(): void
  closed(why: string): void
}

/** One direction: packets in order, and those that wait for the end of a cut or of a pause. */
type Line = { lastAt: number; waiting: Packet[]; waitingBytes: number; isPaused: boolean }

class Connection {
  readonly node: string
  private readonly network: Network
  private readonly agent: End
  /** Null until the coordinator has accepted it. */
  private coordinator: End | null = null
  private readonly lines: Record<Direction, Line> = { up: newLine(), down: newLine() }

  constructor(network: Network, node: string, key: string, life: Life, listener: CoordinatorListener) {
    this.network = network
    this.node = node
    this.agent = { life, isOpen: true, frame: listener.frame, pong: listener.pong, closed: listener.closed }
    life.onEnd(() => this.died('agent'))
    this.shakeHands(key, listener)
  }

  // ------------------------------------------------------------------ its beginning

  private shakeHands(key: string, listener: CoordinatorListener): void {
    const { network, node } = this
    const { timeline } = network
    const timeout = this.agent.life.take(timeline.now + HANDSHAKE_TIMEOUT_MS, () =>
      this.close(this.agent, 'Opening handshake has timed out'),
    )
    timeline.after(3 * network.latency(), () => {
      if (!this.agent.isOpen || network.isCut(node, 'up') || network.isCut(node, 'down')) return
      const { listening } = network
      if (!listening?.life.isAlive) {
        timeline.cancel(timeout)
        this.agent.life.take(timeline.now, () => this.close(this.agent, 'connect ECONNREFUSED'))
        return
      }
      listening.life.take(timeline.now, () => {
        if (!this.agent.isOpen) return
        timeline.cancel(timeout)
        this.accept(listening, key)
        const opened = timeline.now + network.latency()
        this.lines.down.lastAt = opened
        this.agent.life.take(opened, () => {
          if (this.coordinator === null) this.close(this.agent, 'Unexpected server response: 503')
          else if (this.agent.isOpen) listener.opened()
        })
      })
    })
  }

  private accept(listening: Listening, key: string): void {
    const { life } = listening
    const listener = listening.open(this.node, key, this.node, this.coordinatorsEnd(life))
    if (listener === null) return
    const { frame, pong, closed } = listener
    this.coordinator = { life, isOpen: true, frame, pong, closed }
    life.onEnd(() => this.died('coordinator'))
    // It may have been refused before this end was there.
    for (const packet of this.beforeAccept.splice(0)) packet()
  }

  private readonly beforeAccept: (() => void)[] = []

  // ------------------------------------------------------------------ the two sockets

  agentsEnd(): CoordinatorSocket {
    const { life } = this.agent
    return {
      send: (bytes, flushed) => {
        if (!this.send('up', { kind: 'frame', bytes })) return
        if (flushed) life.soon(flushed)
      },
      get bufferedBytes() {
        return 0
      },
      ping: () => this.send('up', { kind: 'ping' }),
      close: () => this.goodbye('agent', 'the agent closed the connection'),
      cutOff: () => this.goodbye('agent', 'the connection broke', true),
    }
  }

  private coordinatorsEnd(life: Life): AgentSocket {
    const lines = this.lines
    const whenAccepted = (act: () => void) => (this.coordinator === null ? this.beforeAccept.push(act) : act())
    return {
      send: (bytes) => whenAccepted(() => this.send('down', { kind: 'frame', bytes })),
      get bufferedBytes() {
        return Math.max(0, lines.down.waitingBytes - SYSTEM_BUFFER_BYTES)
      },
      ping: () => this.send('down', { kind: 'ping' }),
      pause: () => {
        lines.up.isPaused = true
      },
      resume: () => {
        lines.up.isPaused = false
        this.mended('up')
      },
      close: (why) =>
        whenAccepted(() => {
          this.goodbye('coordinator', why)
          life.after(CLOSE_GRACE_MS, () => this.goodbye('coordinator', why, true))
        }),
      cutOff: () => whenAccepted(() => this.goodbye('coordinator', 'the connection broke', true)),
    }
  }

  private endOf(who: 'agent' | 'coordinator'): End | null {
    return who === 'agent' ? this.agent : this.coordinator
  }

  // ------------------------------------------------------------------ what goes over it

  private send(direction: Direction, packet: Packet): boolean {
    const sender = this.endOf(direction === 'up' ? 'agent' : 'coordinator')
    if (!sender?.isOpen || !sender.life.may()) return false
    this.carry(direction, packet)
    return true
  }

  private carry(direction: Direction, packet: Packet): void {
    const line = this.lines[direction]
    const { timeline } = this.network
    line.lastAt = Math.max(line.lastAt, timeline.now + this.network.latency())
    timeline.at(line.lastAt, () => this.arrive(direction, packet))
  }

  private arrive(direction: Direction, packet: Packet): void {
    const line = this.lines[direction]
    if (line.isPaused || line.waiting.length > 0 || this.network.isCut(this.node, direction)) {
      line.waiting.push(packet)
      if (packet.kind === 'frame') line.waitingBytes += packet.bytes.length
      return
    }
    const receiver = this.endOf(direction === 'up' ? 'coordinator' : 'agent')
    if (receiver === null) return
    if (receiver.isOpen && receiver.life.isAlive)
      receiver.life.take(this.network.timeline.now, () => this.take(receiver, direction, packet))
    else if (packet.kind !== 'end') this.tellGone(direction)
  }

  private take(receiver: End, direction: Direction, packet: Packet): void {
    if (!receiver.isOpen) return
    if (packet.kind === 'frame') receiver.frame(packet.bytes)
    else if (packet.kind === 'pong') receiver.pong()
    else if (packet.kind === 'end') this.close(receiver, packet.why)
    else this.send(direction === 'up' ? 'down' : 'up', { kind: 'pong' })
  }

  /** Something arrived where nobody is any more: the sender is told so. */
  private tellGone(direction: Direction): void {
    this.carry(direction === 'up' ? 'down' : 'up', { kind: 'end', why: 'read ECONNRESET' })
  }

  // ------------------------------------------------------------------ its end

  private goodbye(who: 'agent' | 'coordinator', why: string, isNow = false): void {
    const own = this.endOf(who)
    if (!own?.isOpen || !own.life.may()) return
    this.carry(who === 'agent' ? 'up' : 'down', { kind: 'end', why })
    if (isNow) own.life.soon(() => this.close(own, why))
  }

  private died(who: 'agent' | 'coordinator'): void {
    const own = this.endOf(who)
    if (!own?.isOpen) return
    own.isOpen = false
    // A process that ends is told of by its host; one whose host has ended is not.
    if (!this.silentEnd) this.carry(who === 'agent' ? 'up' : 'down', { kind: 'end', why: 'the connection broke' })
    this.forgetIfOver()
  }

  /** The agent's host ends without a word. */
  silentEnd = false

  private close(end: End, why: string): void {
    if (!end.isOpen) return
    end.isOpen = false
    end.closed(why)
    if (end === this.coordinator || this.coordinator !== null) {
      const direction = end === this.agent ? 'up' : 'down'
      const other = end === this.agent ? this.coordinator : this.agent
      if (other?.isOpen) this.carry(direction, { kind: 'end', why: 'the connection was closed' })
    }
    this.forgetIfOver()
  }

  private forgetIfOver(): void {
    if (!this.agent.isOpen && this.coordinator?.isOpen !== true) this.network.forget(this)
  }

  reset(): void {
    const { timeline } = this.network
    for (const direction of ['up', 'down'] as const) {
      const line = this.lines[direction]
      line.waiting = []
      line.waitingBytes = 0
      // What is under way does not arrive any more.
      line.isPaused = true
    }
    for (const end of [this.agent, this.coordinator]) {
      if (end?.isOpen) end.life.take(timeline.now + this.network.latency(), () => this.close(end, 'read ECONNRESET'))
    }
  }

  /** A cut is over, or a pause: what waited comes now, in its order. */
  mended(direction: Direction): void {
    const line = this.lines[direction]
    const { timeline, chance } = this.network
    timeline.after(chance.skewed(1, RESEND_MS_MAX), () => {
      if (line.isPaused || this.network.isCut(this.node, direction)) return
      const { waiting } = line
      line.waiting = []
      line.waitingBytes = 0
      for (const packet of waiting) this.arrive(direction, packet)
    })
  }
}

function newLine(): Line {
  return { lastAt: 0, waiting: [], waitingBytes: 0, isPaused: false }
}
