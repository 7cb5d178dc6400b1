/** How finely and for how long points are kept. What a tier holds is made of the one before, so a longer past costs little. */
import type { Instant } from '../../shared/clock.ts'

export type Tier = {
  name: string
  stepSeconds: number
  keepSeconds: number
  /** What is written at once: what a crash loses of the first tier; of the others nothing, they are made again from the one before. */
  frameSeconds: number
  /** Of all the room on the disk. */
  share: number
}

const MINUTE = 60
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

/** Each frame is a whole number of frames of the tier before, and each step divides its frame: no point lies on a border. */
export const TIERS: readonly [Tier, ...Tier[]] = [
  { name: 'full', stepSeconds: 1, keepSeconds: HOUR, frameSeconds: MINUTE, share: 0.3 },
  { name: 'ten-seconds', stepSeconds: 10, keepSeconds: DAY, frameSeconds: 30 * MINUTE, share: 0.4 },
  { name: 'five-minutes', stepSeconds: 5 * MINUTE, keepSeconds: 30 * DAY, frameSeconds: 6 * HOUR, share: 0.3 },
]

/**
 * Which tier answers for a time: the coarsest that is still as fine as what is asked for, as it has the least to read; a coarser
 * one when that does not reach back far enough. Times are epoch seconds.
 * @param fine the finest that reaches back: for what cannot be told from means and peaks, as percentiles
 */
export function tierFor(from: number, stepSeconds: number, now: Instant, fine: boolean): number {
  const reaches = (tier: number) => TIERS[tier]!.keepSeconds >= now - from - TIERS[tier]!.stepSeconds
  const last = TIERS.length - 1
  let best = 0
  while (best < last && !fine && TIERS[best + 1]!.stepSeconds <= stepSeconds) best++
  while (best < last && !reaches(best)) best++
  return best
}
