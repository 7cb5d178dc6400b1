/**
 * Moves without being asked (`rebalance.auto`): looked for once a minute while all is calm, within a budget per hour. A task
 * that was moved rests for an hour, and one must have run for ten minutes before it is moved, so that load which comes and goes
 * does not chase tasks around: the policies judge by recent peaks, not by the last sample.
 */
import type { Instant } from '../../../shared/clock.ts'
import type { RebalanceMove, World } from '../../world.ts'
import { type Beat, wakeBy } from '../beat.ts'
import { planRebalance } from './plan.ts'

const LOOK_EVERY_MS = 60_000
const BUDGET_PERIOD_MS = 3_600_000
const REST_MS = 3_600_000
const SETTLED_MS = 600_000
/** At one look; what is left is found at the next one. */
const MOVES_AT_A_LOOK_MAX = 5
const AT_ONCE = 1

export function considerRebalance(beat: Beat): void {
  const { world, now } = beat
  const { auto, movesPerHour } = world.settings.rebalance
  if (!auto || world.rebalances.at(-1)?.state === 'moving') return
  const lookAt = world.rebalanceLookedAt + LOOK_EVERY_MS
  wakeBy(beat, now < lookAt ? lookAt : now + LOOK_EVERY_MS)
  if (now < lookAt) return
  beat.decisions.push({ kind: 'look-for-rebalance' })
  const movesMax = Math.min(MOVES_AT_A_LOOK_MAX, movesPerHour - movedSince(world, now - BUDGET_PERIOD_MS).length)
  if (movesMax <= 0 || !isCalm(world)) return
  const resting = new Set(movedSince(world, now - REST_MS).flatMap(({ replacement }) => replacement ?? []))
  const { moves } = planRebalance(world, { now, movesMax, placedBefore: now - SETTLED_MS, resting })
  const wanted = moves.map(({ task, to }) => ({ task, to }))
  if (wanted.length > 0) beat.decisions.push({ kind: 'begin-rebalance', moves: wanted, atOnce: AT_ONCE })
}

/** Those on its own account that were begun: what operators ask for is theirs to bound. */
function movedSince(world: World, since: Instant): RebalanceMove[] {
  return world.rebalances
    .filter(({ by }) => by === 'auto')
    .flatMap(({ moves }) => moves)
    .filter(({ startedAt }) => startedAt !== null && startedAt > since)
}

/** Nothing is on its way to somewhere else, so what is seen will last. */
function isCalm(world: World): boolean {
  if (world.servicesInMotion.size > 0 || world.tasksWaiting.size > 0) return false
  for (const { status } of world.nodes.values()) if (status.name === 'disconnected') return false
  return true
}
