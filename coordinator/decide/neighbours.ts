/**
 * How many tasks of a service share a place with a node, which is what affinity asks. A place is all nodes that have the
 * same value of an attribute. What is asked for is counted once, over all nodes, and then kept up to date by each
 * placement of the beat; where nobody asks, nothing is counted.
 */
import { fullServiceName } from '../../shared/names.ts'
import type { Node, NodeName, Service, ServiceName } from '../world.ts'
import { attributeOf } from './checks/constraint.ts'
import { wantedVersionOf } from './service-facts.ts'

/** `held`: whose containers are not gone. `staying`: those of them that are not told to stop. */
export type Neighbour = { held: number; staying: number }

/** A service whose tasks want none of the asked one's near them. */
export type Repeller = { service: ServiceName; over: string }

export type Neighbours = {
  /** See meantService. */
  meant(stack: string, service: string): ServiceName
  /** Tasks of the service in the node's place; null: the node has no such attribute. */
  near(service: ServiceName, over: string, node: Node): Neighbour | null
  /** Tasks of the service on any node. */
  anywhere(service: ServiceName): Neighbour
  /** Which services' required anti-affinity names this one, by what they want now. */
  repellersOf(service: ServiceName): readonly Repeller[]
  /** A task of the service was placed on the node; one that is there was told to stop. */
  came(service: ServiceName, node: Node): void
  isToLeave(service: ServiceName, node: Node): void
}

/** What the counting goes over: a picture's nodes. */
type Counted = { node: Node; tasksByService: Map<ServiceName, number>; leavingByService: Map<ServiceName, number> }

export function neighboursOf(
  nodes: ReadonlyMap<NodeName, Counted>,
  services: ReadonlyMap<ServiceName, Service>,
  /** As decided in this beat. */
  current: (service: Service) => Service = (service) => service,
): Neighbours {
  const places = new Map<ServiceName, Map<string, Map<string, Neighbour>>>()
  let repellers: Map<ServiceName, Repeller[]> | null = null

  const meant = (stack: string, service: string) => meantService(services, stack, service)

  function countsOf(service: ServiceName, over: string): Map<string, Neighbour> {
    const byAttribute = places.get(service) ?? new Map<string, Map<string, Neighbour>>()
    places.set(service, byAttribute)
    let counts = byAttribute.get(over)
    if (counts) return counts
    counts = new Map()
    for (const { node, tasksByService, leavingByService } of nodes.values()) {
      const held = tasksByService.get(service) ?? 0
      if (held > 0) add(counts, placeOf(node, over), held, held - (leavingByService.get(service) ?? 0))
    }
    byAttribute.set(over, counts)
    return counts
  }

  return {
    meant,
    near(service, over, node) {
      const value = placeOf(node, over)
      return value === null ? null : (countsOf(service, over).get(value) ?? NOBODY)
    },
    anywhere(service) {
      return countsOf(service, ANYWHERE).get(ANYWHERE) ?? NOBODY
    },
    repellersOf(service) {
      repellers ??= allRepellers([...services.values()].map(current), meant)
      return repellers.get(service) ?? []
    },
    came(service, node) {
      for (const [over, counts] of places.get(service) ?? []) add(counts, placeOf(node, over), 1, 1)
    },
    isToLeave(service, node) {
      for (const [over, counts] of places.get(service) ?? []) add(counts, placeOf(node, over), 0, -1)
    },
  }
}

/** The service that an affinity of a service of the stack names: one of its own stack before any other. */
export function meantService(services: ReadonlyMap<ServiceName, Service>, stack: string, name: string): ServiceName {
  const own = fullServiceName(stack, name)
  return services.has(own) ? own : name
}

/** The same with one task of the service thought away from the node. */
export function withoutOne(neighbours: Neighbours, service: ServiceName, node: Node): Neighbours {
  const less = ({ held, staying }: Neighbour) => ({ held: Math.max(0, held - 1), staying: Math.max(0, staying - 1) })
  return {
    ...neighbours,
    near(asked, over, at) {
      const found = neighbours.near(asked, over, at)
      return found && asked === service && placeOf(node, over) === placeOf(at, over) ? less(found) : found
    },
    anywhere: (asked) => (asked === service ? less(neighbours.anywhere(asked)) : neighbours.anywhere(asked)),
  }
}

const NOBODY: Neighbour = { held: 0, staying: 0 }
/** Stands for the one place that all nodes share. */
const ANYWHERE = ''

function placeOf(node: Node, over: string): string | null {
  return over === ANYWHERE ? ANYWHERE : attributeOf(node, over)
}

function add(counts: Map<string, Neighbour>, value: string | null, held: number, staying: number): void {
  if (value === null) return
  const before = counts.get(value) ?? NOBODY
  counts.set(value, { held: before.held + held, staying: before.staying + staying })
}

function allRepellers(services: Service[], meant: Neighbours['meant']): Map<ServiceName, Repeller[]> {
  const repellers = new Map<ServiceName, Repeller[]>()
  for (const service of services) {
    for (const { service: name, over, anti, required } of wantedVersionOf(service).spec.placement.affinity ?? []) {
      const target = meant(service.stack, name)
      if (!anti || !required || target === service.name) continue
      const list = repellers.get(target) ?? []
      list.push({ service: service.name, over })
      repellers.set(target, list)
    }
  }
  return repellers
}
