/** What can be short on a node by amount: how much a task is promised of it, and how much of it a node has left. */
import type { ContainerSpec } from '../../../shared/spec.ts'
import { genericNeed, genericOn } from '../generic-need.ts'
import type { NodePicture } from '../picture.ts'

/** `shortOf`: how much more the node would need for a task of the container; `heldBy`: how much of it one has there. */
export type Measure = {
  shortOf(container: ContainerSpec, seen: NodePicture): number
  heldBy(container: ContainerSpec, seen: NodePicture): number
}

const cpu: Measure = {
  shortOf: ({ resources }, seen) => short(resources.reservation.cpuCores, seen.room.cpuCores - seen.cpuCoresPromised),
  heldBy: ({ resources }) => resources.reservation.cpuCores,
}

const memory: Measure = {
  shortOf: ({ resources }, seen) =>
    short(resources.reservation.memoryBytes, seen.room.memoryBytes - seen.memoryBytesPromised),
  heldBy: ({ resources }) => resources.reservation.memoryBytes,
}

const disk: Measure = {
  shortOf: ({ resources }, seen) =>
    short(resources.reservation.diskBytes ?? 0, seen.room.diskBytes - seen.diskBytesPromised),
  heldBy: ({ resources }) => resources.reservation.diskBytes ?? 0,
}

/** One countable thing, as GPUs. */
function generic(name: string): Measure {
  const held = (container: ContainerSpec, seen: NodePicture) =>
    genericOn(genericNeed(container), seen.room.generic).get(name) ?? 0
  return {
    shortOf: (container, seen) =>
      short(held(container, seen), (seen.room.generic[name] ?? 0) - (seen.genericPromised.get(name) ?? 0)),
    heldBy: held,
  }
}

/** Who is promised nothing of it needs nothing, however full the node is. */
function short(needed: number, free: number): number {
  return needed > 0 ? needed - free : 0
}

/** Those that a task of the container asks for. */
export function measuresOf(container: ContainerSpec): Measure[] {
  return [cpu, memory, disk, ...genericNeed(container).keys().map(generic)]
}
