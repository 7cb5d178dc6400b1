/** Notices when this process could not listen: a timer that should fire all the time did not. */
import type { Clock } from '../shared/clock.ts'
import { type Stall, withStall } from './decide/stalls.ts'

const LOOK_EVERY_MS = 200
/**
 * Less is everyday life on a busy host, and a silence that counts is several times as long. Credited all the same, it would
 * put off the loss of an unplugged host by as much again.
 */
const STALL_MIN_MS = 400

export type Deafness = {
  /** Looks at the clock; the stalls of late, this moment's included. */
  look(): readonly Stall[]
  /** Goes on looking until aborted. */
  watch(signal: AbortSignal): Promise<void>
}

export function createDeafness(clock: Clock): Deafness {
  let stalls: readonly Stall[] = []
  let lookedAt = clock.now()

  function look(): readonly Stall[] {
    const now = clock.now()
    const ms = now - lookedAt - LOOK_EVERY_MS
    if (ms >= STALL_MIN_MS) stalls = withStall(stalls, { endedAt: now, ms })
    lookedAt = now
    return stalls
  }

  return {
    look,
    async watch(signal) {
      lookedAt = clock.now()
      while (!signal.aborted) {
        await clock.sleep(LOOK_EVERY_MS, signal).catch(() => {})
        look()
      }
    },
  }
}
