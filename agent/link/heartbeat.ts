/** A timer that keeps its step: not drifting with the work it starts, and after a stall one beat instead of all that were missed. */
import type { Clock, Timer } from '../../shared/clock.ts'

export type Heartbeat = { stop(): void }

/** Calls `beat` at once and then every `intervalMs`. */
export function startHeartbeat(
  intervalMs: number,
  beat: () => void,
  clock: Pick<Clock, 'monotonicMs' | 'after'>,
): Heartbeat {
  const startedAt = clock.monotonicMs()
  let timer: Timer
  const next = () => {
    timer = clock.after(untilNext(clock.monotonicMs() - startedAt, intervalMs), () => {
      beat()
      next()
    })
  }
  beat()
  next()
  return { stop: () => timer.stop() }
}

/** From `elapsedMs` since the first beat to the next multiple of the interval; never 0, or one beat would come twice. */
export function untilNext(elapsedMs: number, intervalMs: number): number {
  const rest = intervalMs - (elapsedMs % intervalMs)
  return rest < intervalMs / 10 ? rest + intervalMs : rest
}
