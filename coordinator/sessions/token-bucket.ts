/** A rate with a burst. Times are arguments; one bucket costs two numbers. */
import type { Instant } from '../../shared/clock.ts'

export type TokenBucket = { tokens: number; at: Instant }

export function fullBucket(burst: number, now: Instant): TokenBucket {
  return { tokens: burst, at: now }
}

/** Takes one token, into debt if need be; the answer is how long to wait until the debt is paid, 0 when there is none. */
export function take(bucket: TokenBucket, perSecond: number, burst: number, now: Instant): number {
  const earned = (Math.max(0, now - bucket.at) * perSecond) / 1000
  bucket.tokens = Math.min(burst, bucket.tokens + earned) - 1
  bucket.at = now
  return bucket.tokens >= 0 ? 0 : Math.ceil((-bucket.tokens * 1000) / perSecond)
}
