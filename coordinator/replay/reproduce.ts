/** Judges a segment again as it was: each beat must come to the decisions that were recorded. */
import { isDeepStrictEqual } from 'node:util'
import type { Segment } from '../journal/format.ts'
import type { Decision } from '../world.ts'
import { judgeFrom } from './judge.ts'
import { momentsOf } from './moments.ts'

export type Reproduced = {
  beats: number
  decisions: number
  /** The first beat whose decisions came out otherwise; what follows it in its segment was not compared. */
  differing: { at: number; recorded: Decision[]; replayed: Decision[] } | null
}

/** Changes and observations are applied as recorded; what is decided from them is compared. */
export function reproduce(segment: Segment): Reproduced {
  const judge = judgeFrom(segment.snapshot)
  const result: Reproduced = { beats: 0, decisions: 0, differing: null }
  for (const moment of momentsOf(segment.entries)) {
    if (moment.kind === 'value') {
      judge.take(moment.value)
      continue
    }
    const { now, stalls, decisions: recorded, isTorn } = moment
    const { decisions } = judge.beat(now, stalls)
    const replayed = isTorn ? decisions.slice(0, recorded.length) : decisions
    result.beats += 1
    result.decisions += recorded.length
    if (isDeepStrictEqual(replayed, recorded)) continue
    return { ...result, differing: { at: now, recorded, replayed } }
  }
  return result
}
