/** What a node has taught of its heartbeats. */
import { heardBeat } from '../../coordinator/decide/silence.ts'
import type { HeardStatistics } from '../../coordinator/world.ts'
import { NOW } from './world.ts'

export const nothingHeard: HeardStatistics = {
  lastAt: 0,
  lastBeatAt: 0,
  meanIntervalMs: 0,
  varianceMs2: 0,
  samples: 0,
}

/** The last of them came just now. */
export function afterIntervals(intervalsMs: number[]): HeardStatistics {
  let at = NOW - intervalsMs.reduce((sum, interval) => sum + interval, 0)
  let heard = heardBeat(nothingHeard, at)
  for (const intervalMs of intervalsMs) {
    at += intervalMs
    heard = heardBeat(heard, at)
  }
  return heard
}
