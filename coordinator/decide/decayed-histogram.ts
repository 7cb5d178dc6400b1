/**
 * Percentiles of what was measured, in which older samples count less and less: a histogram whose weights halve every
 * half-life. The way of Google's Autopilot (Rzadca et al., "Autopilot: workload autoscaling at Google", EuroSys 2020,
 * section 3) and of the Kubernetes vertical pod autoscaler's recommender: instead of shrinking all that is there, a newer
 * sample is given more weight than those before it, and once in a while everything is scaled down. So a sample costs one
 * addition and the memory is bounded by the number of buckets, however long the history.
 */
import type { Instant } from '../../shared/clock.ts'

export type DecayedHistogram = { weights: Float32Array; total: number; halfLifeMs: number; referenceAt: Instant }

export function newHistogram(buckets: number, halfLifeMs: number): DecayedHistogram {
  return { weights: new Float32Array(buckets), total: 0, halfLifeMs, referenceAt: 0 }
}

export function copyHistogram(histogram: DecayedHistogram): DecayedHistogram {
  return { ...histogram, weights: histogram.weights.slice() }
}

/** Changes the histogram in place. A sample at `referenceAt` weighs 1, one that is a half-life younger 2. */
export function addSample(histogram: DecayedHistogram, bucket: number, at: Instant): void {
  let halfLives = (at - histogram.referenceAt) / histogram.halfLifeMs
  if (halfLives > HALF_LIVES_MAX) {
    rescale(histogram, at)
    halfLives = 0
  }
  const weight = 2 ** halfLives
  histogram.weights[Math.min(Math.max(0, bucket), histogram.weights.length - 1)]! += weight
  histogram.total += weight
}

/** The lowest bucket at or below which `share` of the weight lies; null: nothing was measured. */
export function quantileBucket({ weights, total }: DecayedHistogram, share: number): number | null {
  if (total === 0) return null
  let sum = 0
  for (let bucket = 0; bucket < weights.length; bucket++) {
    sum += weights[bucket]!
    if (sum >= share * total) return bucket
  }
  return weights.length - 1
}

/** 2^40 times a thousand samples a second is far from where numbers end. */
const HALF_LIVES_MAX = 40

function rescale(histogram: DecayedHistogram, at: Instant): void {
  const factor = 2 ** ((histogram.referenceAt - at) / histogram.halfLifeMs)
  let total = 0
  for (let bucket = 0; bucket < histogram.weights.length; bucket++) {
    histogram.weights[bucket]! *= factor
    total += histogram.weights[bucket]!
  }
  histogram.total = total
  histogram.referenceAt = at
}
