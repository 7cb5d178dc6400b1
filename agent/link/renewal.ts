/** When to ask for the next certificate. Pure. */
import type { Instant } from '../../shared/clock.ts'

export type Term = { validFrom: Instant; validUntil: Instant }

/** At two thirds of its life, up to a twelfth later, so that hosts that joined together do not renew together. `chance` in [0, 1). */
export function renewalDueAt({ validFrom, validUntil }: Term, chance: number): Instant {
  return validFrom + (validUntil - validFrom) * (2 / 3 + chance / 12)
}

/** A request that was not answered is repeated a few times before the certificate ends. */
export function renewalRepeatMs({ validFrom, validUntil }: Term): number {
  return Math.max(1_000, (validUntil - validFrom) / 100)
}

export function hasExpired({ validUntil }: Term, now: Instant): boolean {
  return now >= validUntil
}
