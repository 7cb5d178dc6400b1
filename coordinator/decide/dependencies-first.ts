import { fullServiceName } from '../../shared/names.ts'
import type { ServiceSpec } from '../../shared/spec.ts'
import type { Service, ServiceName, World } from '../world.ts'
import { wantedVersionOf } from './service-facts.ts'

/** The services of these names that there are, each after those of them that it depends on; a circle ends where it began. */
export function dependenciesFirst(world: World, names: Iterable<ServiceName>): Service[] {
  const dependenciesOf = (service: Service) =>
    Object.keys(wantedVersionOf(service).spec.dependsOn).map((shortName) => fullServiceName(service.stack, shortName))
  return inOrder([...names].sort(), (name) => world.services.get(name), dependenciesOf)
}

/** The same of what a stack describes, whether it is there yet or not; otherwise as they were given. */
export function specsInOrder(services: Record<string, ServiceSpec>): [shortName: string, spec: ServiceSpec][] {
  const named = new Map(Object.entries(services).map((entry) => [entry[0], entry]))
  return inOrder(
    named.keys(),
    (name) => named.get(name),
    ([, spec]) => Object.keys(spec.dependsOn),
  )
}

function inOrder<T>(
  names: Iterable<string>,
  find: (name: string) => T | undefined,
  dependenciesOf: (found: T) => string[],
): T[] {
  const wanted = new Set(names)
  const ordered: T[] = []
  const visit = (name: string) => {
    const found = wanted.has(name) ? find(name) : undefined
    if (found === undefined || !wanted.delete(name)) return
    for (const dependency of dependenciesOf(found)) visit(dependency)
    ordered.push(found)
  }
  for (const name of [...wanted]) visit(name)
  return ordered
}
