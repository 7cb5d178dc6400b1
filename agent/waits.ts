/** Who waits until when, by a clock that only goes forward. */
import type { Instant } from '../shared/clock.ts'

export class Waits<T> {
  private readonly until = new Map<T, Instant>()
  private earliest = Number.POSITIVE_INFINITY

  set(who: T, until: Instant): void {
    this.until.set(who, until)
    this.earliest = Math.min(this.earliest, until)
  }

  /** The earliest moment may stay too early by this; then one look finds nothing due. */
  delete(who: T): void {
    this.until.delete(who)
  }

  get nextAt(): Instant {
    return this.earliest
  }

  /** Takes out those whose time has come. */
  takeDue(now: Instant): T[] {
    if (now < this.earliest) return []
    const due: T[] = []
    this.earliest = Number.POSITIVE_INFINITY
    for (const [who, until] of this.until) {
      if (until <= now) {
        this.until.delete(who)
        due.push(who)
      } else {
        this.earliest = Math.min(this.earliest, until)
      }
    }
    return due
  }
}
