/**
 * One beat's judging: what decisions mark is looked at in the same beat, so that one flush holds it all; what goes beyond the bound of a
 * beat is left for the next. The loop and the replay of a recording share it, since a replay must come to the same decisions.
 */
import type { Instant } from '../shared/clock.ts'
import { earliest } from './decide/liveness.ts'
import { isMarked, type Marks, newMarks, quietUntilOf } from './decide/marks.ts'
import type { DecideSettings } from './decide/settings.ts'
import type { Judgement } from './loop.ts'
import type { Decision, ServiceName, World } from './world.ts'

/** What is left after so many waits for the next beat. */
const ROUNDS_MAX = 8

/**
 * Asks `decide` about what `marks.due` holds, hands each decision to `take` (which applies it and marks what follows from it in
 * `marks.due`), and again until nothing is marked.
 */
export function decideInRounds(
  { decide }: Pick<Judgement, 'decide'>,
  world: World,
  marks: { due: Marks },
  now: Instant,
  settings: DecideSettings,
  take: (decision: Decision) => void,
): { decisions: Decision[]; wakeAt: Instant | null } {
  const decisions: Decision[] = []
  const left = new Set<ServiceName>()
  const wakeBefore = marks.due.left?.wakeAt ?? null
  let wakeAt: Instant | null = null
  let tasksLeft = settings.tasksPerBeatMax
  if ((marks.due.beatAt ?? now) > now) quietUntilOf(marks.due).clear()
  for (let round = 0; round === 0 || (round < ROUNDS_MAX && tasksLeft > 0 && isMarked(marks.due)); round++) {
    const due = marks.due
    const quietUntil = quietUntilOf(due)
    marks.due = { ...newMarks(), quietUntil, beatAt: now }
    const decided = decide(world, due, now, { ...settings, tasksPerBeatMax: tasksLeft })
    tasksLeft -= decided.tasks ?? 0
    for (const { name } of decided.lookedAt ?? []) {
      quietUntil.delete(name)
      left.delete(name)
    }
    for (const [name, at] of decided.quietUntil ?? []) {
      if (world.servicesInMotion.has(name)) quietUntil.set(name, at)
    }
    for (const name of decided.left ?? []) left.add(name)
    for (const decision of decided.decisions) take(decision)
    decisions.push(...decided.decisions)
    wakeAt = decided.wakeAt
  }
  // One whose time has come was looked at in this beat.
  if (wakeBefore !== null && wakeBefore > now) wakeAt = earliest(wakeAt, wakeBefore)
  // Only now: a bound that is asked for anew in each round would be none.
  if (left.size > 0) marks.due.left = { services: left, wakeAt }
  return { decisions, wakeAt }
}
