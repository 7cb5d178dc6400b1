/** Every bound of a session. What happens at each is said where it is used, and in docs/wire.md. */
import { FRAME_BYTES_MAX } from '../../shared/wire/codec.ts'

export const LIMITS = {
  /** Agents beyond this are refused, and try again later. */
  sessionsMax: 10_000,
  /** A node has one; while it comes back there may be the old one, too. One node must not take the room of the others. */
  sessionsOfNodeMax: 8,
  /** Connections of operators: those that have shown their token. Those that have shown nothing: coordinator/connections. */
  operatorConnectionsMax: 2_000,
  /** From the end of the TLS handshake to the hello. */
  helloTimeoutMs: 5_000,
  /** From the welcome to the full observation: an Engine may take its time over the first list. */
  observationTimeoutMs: 60_000,
  /** A session of which nothing at all was heard for so long is closed; the node's liveness was judged long before. */
  silenceMs: 15_000,
  /** An older session of the same name has so long to show that it lives. */
  duplicatePingMs: 1_000,
  /** Sustained; above it the socket is not read until the rate is kept again, so nothing is lost and TCP slows the sender. */
  messagesPerSecond: 500,
  messagesBurst: 2_000,
  /** Each becomes an event, and the history holds ten thousand: one agent must not push out what the others told. */
  noticesPerSecond: 2,
  noticesBurst: 300,
  /** An agent that takes so little of what it is sent is cut off; it connects again and begins with everything complete. */
  sendBufferBytesMax: 2 * FRAME_BYTES_MAX,
  logReadersMax: 256,
}

export type Limits = typeof LIMITS

/** What is heard of an agent is its heartbeats, mostly: where they are rare, silence is longer. */
export function limitsFor(heartbeatIntervalMs: number, given: Partial<Limits> = {}): Limits {
  return { ...LIMITS, silenceMs: Math.max(LIMITS.silenceMs, 4 * heartbeatIntervalMs), ...given }
}
