/**
 * Compose's `depends_on.restart`: who depends on a service in this way gets new tasks when that one does. The hash of such a
 * task holds the hashes of the tasks that it is restarted with, so everything else follows as for any other change of a task:
 * it is held until its dependencies are met again, replaced by its own update rules, and left alone when nothing changed.
 */
import { createHash } from 'node:crypto'
import type { Instant } from '../../shared/clock.ts'
import { fullServiceName } from '../../shared/names.ts'
import { canonicalJson, type ServiceSpec, type StackSpec, specHash } from '../../shared/spec.ts'
import { wantedVersionOf } from '../decide/service-facts.ts'
import type { Service, World } from '../world.ts'
import { addVersion, type TaskHashes } from './add-version.ts'
import type { Write } from './store.ts'

export function hashesOf(world: World, stack: string, spec: ServiceSpec): TaskHashes {
  const ownHash = specHash(spec.task)
  const dependencies = restartedWith(spec).map((shortName) => {
    const service = world.services.get(fullServiceName(stack, shortName))
    return [shortName, service && !service.removing ? wantedVersionOf(service).taskHash : null]
  })
  if (dependencies.length === 0) return { taskHash: ownHash }
  const text = canonicalJson([ownHash, dependencies])
  return { taskHash: createHash('sha256').update(text).digest('hex').slice(0, ownHash.length), ownHash }
}

/** After services of the stack have changed: the next version for those that are to be restarted with them. */
export function restartDependents(world: World, stack: string, at: Instant, writes: Write[]): void {
  const services = [...world.services.values()].filter((service) => service.stack === stack && !service.removing)
  const specs = Object.fromEntries(services.map((service) => [service.shortName, wantedVersionOf(service).spec]))
  for (const shortName of dependenciesFirst({ services: specs })) {
    const service = world.services.get(fullServiceName(stack, shortName))
    if (service && restartedWith(wantedVersionOf(service).spec).length > 0) restartIfDue(world, service, at, writes)
  }
}

function restartIfDue(world: World, service: Service, at: Instant, writes: Write[]): void {
  const { spec, taskHash } = wantedVersionOf(service)
  const hashes = hashesOf(world, service.stack, spec)
  if (hashes.taskHash !== taskHash) addVersion(world, service, spec, hashes, at, writes)
}

/** In alphabetical order, so that the hash does not hang on that of the file. */
function restartedWith({ dependsOn }: ServiceSpec): string[] {
  return Object.keys(dependsOn)
    .filter((name) => dependsOn[name]?.restart)
    .sort()
}

/** The names of the services, each after those that it depends on; a circle ends where it began. */
export function dependenciesFirst({ services }: Pick<StackSpec, 'services'>): string[] {
  const ordered = new Set<string>()
  const begun = new Set<string>()
  const visit = (name: string) => {
    const spec = services[name]
    if (!spec || begun.has(name)) return
    begun.add(name)
    for (const dependency of Object.keys(spec.dependsOn)) visit(dependency)
    ordered.add(name)
  }
  for (const name of Object.keys(services)) visit(name)
  return [...ordered]
}
