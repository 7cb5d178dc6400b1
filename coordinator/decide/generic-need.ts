/** How many of each countable thing a task of the container needs: what it reserves, and the devices that it asks for. */
import type { ContainerSpec, DeviceRequest, GenericResources } from '../../shared/spec.ts'

/** `all`: as many as the node has. */
export type GenericNeed = ReadonlyMap<string, number | 'all'>

/**
 * Files that run elsewhere, too, may say one GPU in both ways: as a generic resource for Swarm and as a device for
 * Compose. So of the two the greater counts, not their sum.
 */
export function genericNeed({ resources, deviceRequests = [] }: ContainerSpec): GenericNeed {
  const { generic = {} } = resources.reservation
  const need = new Map<string, number | 'all'>()
  for (const request of deviceRequests) {
    const resource = resourceOf(request)
    need.set(resource, sum(need.get(resource) ?? 0, countOf(request)))
  }
  for (const [resource, count] of Object.entries(generic)) {
    const before = need.get(resource) ?? 0
    if (count > 0 && before !== 'all') need.set(resource, Math.max(before, count))
  }
  return need
}

/** Whether it needs any at all. */
export function needsGeneric({ resources, deviceRequests }: ContainerSpec): boolean {
  const { generic } = resources.reservation
  return (
    (deviceRequests?.length ?? 0) > 0 || (generic !== undefined && Object.values(generic).some((count) => count > 0))
  )
}

/** What the need comes to on a node that has so many of each. */
export function genericOn(need: GenericNeed, has: GenericResources): Map<string, number> {
  return new Map([...need].map(([resource, count]) => [resource, count === 'all' ? (has[resource] ?? 0) : count]))
}

/** The resource that bears the name of the first capability, as `gpu`. */
export function resourceOf({ capabilities }: DeviceRequest): string {
  return capabilities[0] ?? ''
}

function countOf({ count, deviceIds }: DeviceRequest): number | 'all' {
  if (deviceIds) return deviceIds.length
  return count === undefined || count < 0 ? 'all' : count
}

function sum(a: number | 'all', b: number | 'all'): number | 'all' {
  return a === 'all' || b === 'all' ? 'all' : a + b
}
