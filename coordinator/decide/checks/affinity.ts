import type { Affinity } from '../../../shared/spec.ts'
import type { Refusal } from '../../world.ts'
import type { NodePicture } from '../picture.ts'
import type { PlaceRequest } from '../requests.ts'
import type { Check } from './check.ts'
import { attributeOf } from './constraint.ts'

/**
 * Required affinity: a task of the named service is (or, for anti-affinity, none is) in the node's place. Anti-affinity
 * binds both: a task is kept away from a place where tasks run that want none of its service near them.
 */
export const affinity: Check = (request, seen) => {
  for (const wish of request.version.spec.placement.affinity ?? []) {
    const no = wish.required ? against(request, seen, wish) : null
    if (no) return no
  }
  return repelled(request, seen)
}

/** Why a placement on the node would go against the wish, required or not; null: it would not. */
export function against(
  { service }: PlaceRequest,
  { node, cluster: { neighbours } }: NodePicture,
  wish: Affinity,
): Refusal | null {
  const { over, anti } = wish
  const name = neighbours.meant(service.stack, wish.service)
  const near = neighbours.near(name, over, node)
  const no = (has: number): Refusal => ({
    node: node.name,
    check: 'affinity',
    figures: { service: name, wants: anti ? 'away' : 'near', over, place: attributeOf(node, over), has },
  })
  // A node that has no such attribute shares no place with any other.
  if (anti) return near !== null && near.held > 0 ? no(near.held) : null
  if (near === null) return no(0)
  if (near.staying > 0) return null
  // The first task of a service that wants to be near its own kind has nobody to join.
  return name === service.name && neighbours.anywhere(name).staying === 0 ? null : no(0)
}

function repelled({ service }: PlaceRequest, { node, cluster: { neighbours } }: NodePicture): Refusal | null {
  for (const repeller of neighbours.repellersOf(service.name)) {
    const near = neighbours.near(repeller.service, repeller.over, node)
    if (near === null || near.held === 0) continue
    const { over } = repeller
    const figures = { service: repeller.service, wants: 'apart', over, place: attributeOf(node, over), has: near.held }
    return { node: node.name, check: 'affinity', figures }
  }
  return null
}
