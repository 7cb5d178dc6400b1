/**
 * What speaks against a node without forbidding it, as a count: taints that only prefer to be left alone, and affinities
 * that are not required. Policies place where it is least; only among those does their own order count.
 */

import { fullServiceName } from '../../shared/names.ts'
import { against } from './checks/affinity.ts'
import type { NodePicture } from './picture.ts'
import type { PlaceRequest } from './requests.ts'
import { tolerates } from './taints.ts'

export function reluctance(request: PlaceRequest, seen: NodePicture): number {
  return taintsAgainst(request, seen) + wishesUnmet(request, seen)
}

function taintsAgainst({ version }: PlaceRequest, { node }: NodePicture): number {
  if (node.taints.length === 0) return 0
  const { tolerations = [] } = version.spec.placement
  const asks = node.taints.filter(
    (taint) => taint.effect === 'prefer-no-schedule' && !tolerations.some((each) => tolerates(each, taint)),
  )
  return asks.length
}

function wishesUnmet(request: PlaceRequest, seen: NodePicture): number {
  let wishes = 0
  for (const wish of request.version.spec.placement.affinity ?? []) {
    if (!wish.required && against(request, seen, wish) !== null) wishes += 1
  }
  return wishes
}

/** Whether the service has affinities that are not required. */
export function hasWishes({ version }: PlaceRequest): boolean {
  return version.spec.placement.affinity?.some(({ required }) => !required) ?? false
}

/** Whether where a task of the service is placed changes where others of it fit, or would rather go, on other nodes. */
export function swaysItself({ service, version }: PlaceRequest): boolean {
  const { affinity } = version.spec.placement
  if (!affinity) return false
  return affinity.some(
    (wish) => fullServiceName(service.stack, wish.service) === service.name || wish.service === service.name,
  )
}
