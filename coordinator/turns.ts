/**
 * Long work in turns, so that whoever else needs this process's one thread (agents, operators) waits for one of them and not for all
 * of it.
 */
import type { Clock } from '../shared/clock.ts'
import type { Steps } from './decide/steps.ts'

export const TURN_MS = 10

/** Does the work, and lets everybody else have a turn once it has taken `turnMs` since the last one; at 0 after every step. */
export async function inTurns<Result>(
  steps: Steps<Result>,
  clock: Pick<Clock, 'monotonicMs' | 'soon'>,
  turnMs: number = TURN_MS,
): Promise<Result> {
  let beganMs = clock.monotonicMs()
  for (;;) {
    const step = steps.next()
    if (step.done) return step.value
    if (clock.monotonicMs() - beganMs < turnMs) continue
    await new Promise<void>(clock.soon)
    beganMs = clock.monotonicMs()
  }
}
