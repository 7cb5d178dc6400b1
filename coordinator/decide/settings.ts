/** What deciding is told besides the World: how patient to be, and when this coordinator started. */
import type { Instant } from '../../shared/clock.ts'
import type { Stall } from './stalls.ts'

export type DecideSettings = {
  /** When this process began to listen: before that nobody could have been heard. */
  coordinatorStartedAt: Instant
  /** After a start, how long nodes may take to come back before their tasks move. */
  startGraceMs: number
  /** How long a node whose connection closed may take to come back. */
  agentGraceMs: number
  /** The same for an agent that said goodbye (an upgrade). */
  goodbyeGraceMs: number
  /** How long a node's Engine may be away before its tasks count as lost. */
  engineGraceMs: number
  /** Silence shorter than this never counts, however regular the node was. */
  silenceMinMs: number
  /** Silence longer than this always counts, however irregular the node was. */
  silenceMaxMs: number
  /** When the coordinator could not hear anybody, of late. */
  stalls: readonly Stall[]
  /** About how many tasks are looked at in one beat, one that is to be made counted as ten; services beyond that are left for the next. See decide/bounded.ts. */
  tasksPerBeatMax: number
}

export function defaultSettings(coordinatorStartedAt: Instant, heartbeatIntervalMs = 1000): DecideSettings {
  return {
    coordinatorStartedAt,
    startGraceMs: 15_000,
    agentGraceMs: 15_000,
    goodbyeGraceMs: 60_000,
    engineGraceMs: 20_000,
    silenceMinMs: 2.2 * heartbeatIntervalMs,
    silenceMaxMs: Math.max(10_000, 4 * heartbeatIntervalMs),
    stalls: [],
    tasksPerBeatMax: Number.POSITIVE_INFINITY,
  }
}
