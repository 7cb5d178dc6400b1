import { fullServiceName } from '../../shared/names.ts'
import type { Service, ServiceName, World } from '../world.ts'
import { wantedVersionOf } from './service-facts.ts'

/** The services of these names that there are, each after those of them that it depends on; a circle ends where it began. */
export function dependenciesFirst(world: World, names: Iterable<ServiceName>): Service[] {
  const wanted = new Set(names)
  const ordered: Service[] = []
  const visit = (name: ServiceName) => {
    const service = world.services.get(name)
    if (!service || !wanted.delete(name)) return
    const { dependsOn } = wantedVersionOf(service).spec
    for (const shortName of Object.keys(dependsOn)) visit(fullServiceName(service.stack, shortName))
    ordered.push(service)
  }
  for (const name of [...wanted].sort()) visit(name)
  return ordered
}
