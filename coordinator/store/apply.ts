/**
 * The only writer of a World. Three kinds of value change it: a change (already admitted), an observation, a decision.
 * No clock and no chance: the same values in the same order give the same World. What concerns something that is no
 * longer there changes nothing, since values may come late.
 */
import type { World, WorldValue } from '../world.ts'
import { applyChange } from './apply-change.ts'
import { applyDecision } from './apply-decision.ts'
import { applyObservation } from './apply-observation.ts'
import { putCounters } from './records.ts'
import type { Write } from './store.ts'
import { countAll, touchedBy } from './tally.ts'

export { emptyWorld } from './records.ts'

/**
 * Changes `world` in place and returns what must be made durable; nothing for a value that left no lasting trace
 * (heartbeats, connections). `world.revision` counts the values that did. Of several values'
 * writes to one key only the last need be stored.
 */
export function apply(world: World, value: WorldValue): Write[] {
  const writes: Write[] = []
  const { tally } = world
  const touched = tally ? touchedBy(world, value) : []
  if (tally) countAll(world, tally, touched, -1)
  if ('change' in value) applyChange(world, value.change, value.at, writes)
  else if ('observation' in value) applyObservation(world, value.observation, value.at, writes)
  else applyDecision(world, value.decision, value.at, writes)
  if (tally) countAll(world, tally, touched, 1)
  if (writes.length === 0) return writes
  world.revision += 1
  writes.push(putCounters(world))
  return writes
}
