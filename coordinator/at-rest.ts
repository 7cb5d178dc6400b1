/** Waits until this process has little to do: for work that blocks it and that nobody waits for. */
import { type EventLoopUtilization, performance } from 'node:perf_hooks'
import type { Clock } from '../shared/clock.ts'

const LOOK_MS = 1_000
/** Of its time busy; an agent more or less is neither here nor there. */
const BUSY_SHARE_MAX = 0.5

/** Resolves after a second in which it was busy for half of it at most; after `limitMs` in any case. Rejects when aborted. */
export async function untilAtRest(
  limitMs: number,
  clock: Pick<Clock, 'sleep' | 'monotonicMs'>,
  signal: AbortSignal,
  utilization: (since?: EventLoopUtilization) => EventLoopUtilization = (since) =>
    performance.eventLoopUtilization(since),
): Promise<void> {
  const limitAt = clock.monotonicMs() + limitMs
  for (;;) {
    const before = utilization()
    await clock.sleep(LOOK_MS, signal)
    if (utilization(before).utilization <= BUSY_SHARE_MAX || clock.monotonicMs() >= limitAt) return
  }
}
