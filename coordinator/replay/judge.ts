/** A World that is judged again: the loop's own taking and deciding, without store, clock or agents. */
import { addMarks, marksOf, newMarks } from '../decide/marks.ts'
import type { DecideSettings } from '../decide/settings.ts'
import type { Snapshot } from '../journal/format.ts'
import { judgement } from '../judgement.ts'
import { decideInRounds } from '../rounds.ts'
import { apply } from '../store/apply.ts'
import type { Decision, World, WorldValue } from '../world.ts'

export type Judge = {
  readonly world: World
  /** Applies the value and marks what it makes worth a look. */
  take(value: WorldValue): void
  beat(now: number, stalls: DecideSettings['stalls']): { decisions: Decision[]; wakeAt: number | null }
}

/** Takes the snapshot over: it is changed from now on. */
export function judgeFrom(snapshot: Snapshot): Judge {
  const { world, settings } = snapshot
  const marks = { due: { ...newMarks(), ...snapshot.marks } }
  const take = (value: WorldValue) => {
    addMarks(marks.due, marksOf(world, value))
    apply(world, value)
  }
  return {
    world,
    take,
    beat: (now, stalls) =>
      decideInRounds(judgement, world, marks, now, { ...settings, stalls }, (decision) => take({ at: now, decision })),
  }
}
