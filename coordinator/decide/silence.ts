/**
 * How long a node may be silent on an open connection, by what it taught us. The limit is what any host may stand still, and one
 * sign of life more; or, for a node whose heartbeats come irregularly, their mean and many deviations.
 *
 * A fixed limit was declined: short enough for a quick failover it evicts falsely under load, long enough for load it
 * is a slow failover (docs/decisions/liveness.md).
 */
import type { Instant } from '../../shared/clock.ts'
import type { HeardStatistics, Node } from '../world.ts'
import { heartbeatIntervalOf } from './heartbeat-interval.ts'
import type { DecideSettings } from './settings.ts'
import { stalledMsSince } from './stalls.ts'

/** From when on silence is too long. `signsEveryMs`: see signs.ts. */
export function silentAt(node: Node, settings: DecideSettings, signsEveryMs: number | null): Instant {
  const { lastAt } = node.heard
  const heardEveryMs = signsEveryMs ?? heartbeatIntervalOf(node, settings.heartbeatIntervalMs)
  return lastAt + silenceLimitMs(node.heard, settings, heardEveryMs) + stalledMsSince(settings.stalls, lastAt)
}

/** How long a node with this past may be silent. `heardEveryMs`: so often it says something; null: at each heartbeat of a small cluster. */
export function silenceLimitMs(heard: HeardStatistics, settings: DecideSettings, heardEveryMs: number | null): number {
  const { heartbeatIntervalMs, stallMs } = settings
  const minMs = stallMs + (heardEveryMs ?? heartbeatIntervalMs) + MARGIN * heartbeatIntervalMs
  const silenceMaxMs = Math.max(settings.silenceMaxMs, minMs)
  if (heard.samples < SAMPLES_MIN) return Math.min(silenceMaxMs, UNKNOWN_FACTOR * minMs)
  const habitMs = heard.meanIntervalMs + DEVIATIONS * Math.sqrt(heard.varianceMs2)
  return Math.min(silenceMaxMs, Math.max(minMs, habitMs))
}

/** A packet that is lost is sent again after 200 ms or so. */
const MARGIN = 0.25
/** Too few intervals to know a node's habit: twice the least. */
const SAMPLES_MIN = 5
const UNKNOWN_FACTOR = 2
/** What a host that stands still now and then teaches has no bell's shape: its longest silence is far from the mean. */
const DEVIATIONS = 6

/** Learns the interval between heartbeats; older ones fade, so that habits may change. */
export function heardBeat(heard: HeardStatistics, at: Instant): HeardStatistics {
  // The first one, or our clock was set back: what was heard in a time to come would hide all silence until then.
  if (heard.lastBeatAt === 0 || at <= heard.lastBeatAt) return { ...heard, lastAt: at, lastBeatAt: at }
  const intervalMs = Math.min(at - heard.lastBeatAt, INTERVAL_MAX_MS)
  if (heard.samples === 0) {
    return { lastAt: at, lastBeatAt: at, meanIntervalMs: intervalMs, varianceMs2: 0, samples: 1 }
  }
  const differenceMs = intervalMs - heard.meanIntervalMs
  const weight = Math.max(WEIGHT_MIN, 1 / (heard.samples + 1))
  return {
    lastAt: at,
    lastBeatAt: at,
    meanIntervalMs: heard.meanIntervalMs + weight * differenceMs,
    varianceMs2: (1 - weight) * (heard.varianceMs2 + weight * differenceMs * differenceMs),
    samples: heard.samples + 1,
  }
}

const INTERVAL_MAX_MS = 60_000
/** The last 20 or so heartbeats count. */
const WEIGHT_MIN = 0.05
