/**
 * One beat's judging: what decisions mark is looked at in the same beat, so that one flush holds it all. The loop and the
 * replay of a recording share it, since a replay must come to the same decisions.
 */
import type { Instant } from '../shared/clock.ts'
import { isMarked, type Marks, newMarks } from './decide/marks.ts'
import type { DecideSettings } from './decide/settings.ts'
import { atOnce, type Steps } from './decide/steps.ts'
import type { Judgement } from './loop.ts'
import type { Decision, World } from './world.ts'

/** What is left after so many waits for the next beat. */
const ROUNDS_MAX = 8

/**
 * Asks `decide` about what `marks.due` holds, hands each decision to `take` (which applies it and marks what follows from it in
 * `marks.due`), and again until nothing is marked.
 */
export function decideInRounds(...asked: Parameters<typeof roundsInSteps>): ReturnType<Judgement['decide']> {
  return atOnce(roundsInSteps(...asked))
}

/** The same, to be interrupted. Until it is done the world must be changed by nobody but `take`. */
export function* roundsInSteps(
  { decide, decideInSteps }: Pick<Judgement, 'decide' | 'decideInSteps'>,
  world: World,
  marks: { due: Marks },
  now: Instant,
  settings: DecideSettings,
  take: (decision: Decision) => void,
): Steps<{ decisions: Decision[]; wakeAt: Instant | null }> {
  const decisions: Decision[] = []
  let wakeAt: Instant | null = null
  for (let round = 0; round === 0 || (round < ROUNDS_MAX && isMarked(marks.due)); round++) {
    const due = marks.due
    marks.due = newMarks()
    const decided = decideInSteps ? yield* decideInSteps(world, due, now, settings) : decide(world, due, now, settings)
    for (const decision of decided.decisions) {
      take(decision)
      decisions.push(decision)
      yield
    }
    wakeAt = decided.wakeAt
  }
  return { decisions, wakeAt }
}
