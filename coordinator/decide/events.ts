import type { NewEvent } from '../events.ts'
import type { World, WorldValue } from '../world.ts'

/** Stand-in until the real one arrives. */
export function eventsOf(_world: World, _value: WorldValue): NewEvent[] {
  return []
}
