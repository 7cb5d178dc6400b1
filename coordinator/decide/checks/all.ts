/** All checks, cheapest and most telling first. A new one is a new file and a line here. */
import type { Refusal } from '../../world.ts'
import { needsGeneric } from '../generic-need.ts'
import type { Neighbours } from '../neighbours.ts'
import type { NodePicture } from '../picture.ts'
import type { PlaceRequest } from '../requests.ts'
import { hasNamedVolume } from '../service-facts.ts'
import { affinity } from './affinity.ts'
import { availability } from './availability.ts'
import type { Check } from './check.ts'
import { constraint } from './constraint.ts'
import { cpu } from './cpu.ts'
import { disk } from './disk.ts'
import { engine } from './engine.ts'
import { failing } from './failing.ts'
import { generic } from './generic.ts'
import { hostPort, isBoundTo } from './host-port.ts'
import { liveness } from './liveness.ts'
import { maxPerNode } from './max-per-node.ts'
import { memory } from './memory.ts'
import { platform } from './platform.ts'
import { expelled, taint } from './taint.ts'
import { volume } from './volume.ts'

/** The same answer for every task of one version in one beat; what they read of it is in `fixed-keys.ts`. */
const FIXED: readonly Check[] = [liveness, engine, availability, platform, taint, constraint, failing]
const LASTING: readonly Check[] = [availability, platform, expelled, constraint]
/** Asked again after each placement, and for each slot. */
const MOVING: readonly Check[] = [volume, maxPerNode, affinity, hostPort, generic, disk]
const ROOM: readonly Check[] = [maxPerNode, hostPort, generic, disk]
/** Moving, too, but what they compare stands in columns: see `placement/nodes.ts`. */
const AMOUNTS: readonly Check[] = [cpu, memory]

export function refusalOf(request: PlaceRequest, seen: NodePicture): Refusal | null {
  return fixedRefusalOf(request, seen) ?? movingRefusalOf(request, seen)
}

export function fixedRefusalOf(request: PlaceRequest, seen: NodePicture): Refusal | null {
  return firstRefusal(FIXED, request, seen)
}

export function movingRefusalOf(request: PlaceRequest, seen: NodePicture): Refusal | null {
  return otherRefusalOf(request, seen) ?? firstRefusal(AMOUNTS, request, seen)
}

/** Whether there is room: nothing but what a node's tasks hold of it. */
export function roomRefusalOf(request: PlaceRequest, seen: NodePicture): Refusal | null {
  return firstRefusal(ROOM, request, seen) ?? firstRefusal(AMOUNTS, request, seen)
}

/** Of the moving checks all but those of CPU and memory. */
export function otherRefusalOf(request: PlaceRequest, seen: NodePicture): Refusal | null {
  return firstRefusal(MOVING, request, seen)
}

/**
 * The same for a batch of tasks alike, of which many nodes are asked: only what has anything to say about them is asked, which
 * mostly is nothing: null. Holds until tasks of other services are placed.
 */
export function otherRefusalFor(
  request: PlaceRequest,
  { neighbours }: NodePicture['cluster'],
): ((seen: NodePicture) => Refusal | null) | null {
  if (nothingElseConcerns(request, neighbours)) return null
  const concerned = MOVING.filter((check) => concerns(check, request, neighbours))
  return (seen) => firstRefusal(concerned, request, seen)
}

/** Whether, of the moving checks, only those of CPU and memory may refuse the request on some node. */
export function nothingElseConcerns(request: PlaceRequest, neighbours: Neighbours): boolean {
  for (const check of MOVING) if (concerns(check, request, neighbours)) return false
  return true
}

/** False: on no node would the check refuse the request. */
function concerns(check: Check, { service, version }: PlaceRequest, neighbours: Neighbours): boolean {
  const { container } = version.spec.task
  const { maxPerNode: max, affinity: wishes = [] } = version.spec.placement
  if (check === volume) return service.homes.size > 0 && hasNamedVolume(version.spec)
  if (check === maxPerNode) return max !== undefined
  if (check === affinity) return wishes.length > 0 || neighbours.repellersOf(service.name).length > 0
  if (check === hostPort) return container.ports.some(isBoundTo)
  if (check === generic) return needsGeneric(container)
  if (check === disk) return (container.resources.reservation.diskBytes ?? 0) > 0
  return true
}

/** Whether a new task of the version may be begun there, for all that lasts: a tainted node may keep what it has. */
export function isInviting(request: PlaceRequest, seen: NodePicture): boolean {
  return isEligible(request, seen) && taint(request, seen) === null
}

/** Whether a global service wants a task on the node at all: lasting reasons, not how full or how well it is. */
export function isEligible(request: PlaceRequest, seen: NodePicture): boolean {
  return firstRefusal(LASTING, request, seen) === null
}

function firstRefusal(checks: readonly Check[], request: PlaceRequest, seen: NodePicture): Refusal | null {
  for (const check of checks) {
    const refusal = check(request, seen)
    if (refusal) return refusal
  }
  return null
}
