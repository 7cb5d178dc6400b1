/**
 * The one place where the loop waits: for a note that something needs a look, or for an instant. Notes left within one
 * turn of the event loop wake it once. Says how late it woke, since in that time nobody could be heard.
 */
import type { Clock, Instant } from '../shared/clock.ts'

export type WakeUp = {
  /** Something needs a look. */
  now(): void
  /** Time alone will need a look then; replaces the instant set before. Null: it will not. */
  at(instant: Instant | null): void
  in(ms: number): void
  /** Resolves when it is time, or when the signal is aborted. `stallMs`: how long after it was time. */
  wait(signal: AbortSignal): Promise<{ stallMs: number }>
}

/** A wait this long is waited in parts: timers hold no more than 24 days. */
const SLEEP_MS_MAX = 3_600_000

export function createWakeUp(clock: Clock): WakeUp {
  let notedAt: Instant | null = null
  let dueAt: Instant | null = null
  let wake: (() => void) | null = null

  function dueIn(): number {
    return dueAt === null ? SLEEP_MS_MAX : Math.min(SLEEP_MS_MAX, Math.max(0, dueAt - clock.now()))
  }

  return {
    now() {
      notedAt ??= clock.now()
      wake?.()
    },
    at(instant) {
      dueAt = instant
    },
    in(ms) {
      dueAt = clock.now() + ms
    },
    async wait(signal) {
      if (notedAt === null && !signal.aborted) {
        const alarm = new AbortController()
        // With a reason of our own: making the usual one, with its stack, is dear for what happens at every beat.
        wake = () => alarm.abort(null)
        signal.addEventListener('abort', wake)
        await clock.sleep(dueIn(), alarm.signal).catch(() => {})
        signal.removeEventListener('abort', wake)
        wake = null
      }
      // Notes of this turn share the beat.
      await new Promise<void>(clock.soon)
      const now = clock.now()
      const meantAt = Math.min(notedAt ?? now, dueAt ?? now, now)
      notedAt = null
      dueAt = null
      return { stallMs: now - meantAt }
    },
  }
}
