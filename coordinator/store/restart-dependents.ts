/**
 * Compose's `depends_on.restart`: who depends on a service in this way gets new tasks when that one does. The hash of such a
 * task holds the hashes of the tasks that it is restarted with, so everything else follows as for any other change of a task:
 * it is held until its dependencies are met again, replaced by its own update rules, and left alone when nothing changed.
 */
import { createHash } from 'node:crypto'
import type { Instant } from '../../shared/clock.ts'
import { fullServiceName } from '../../shared/names.ts'
import { canonicalJson, type ServiceSpec, specHash } from '../../shared/spec.ts'
import { wantedVersionOf } from '../decide/service-facts.ts'
import type { World } from '../world.ts'
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

/** By short name: what the tasks of the stack's services are now. */
export function taskHashes(world: World, stack: string): Map<string, string> {
  const services = [...world.services.values()].filter((service) => service.stack === stack && !service.removing)
  return new Map(services.map((service) => [service.shortName, wantedVersionOf(service).taskHash]))
}

/** After a change to services of the stack: the next version for those that are to be restarted with one that has other tasks now. */
export function restartDependents(
  world: World,
  stack: string,
  before: ReadonlyMap<string, string>,
  at: Instant,
  writes: Write[],
): void {
  const hasOtherTasks = (shortName: string) => {
    const hash = before.get(shortName)
    return hash !== undefined && hash !== taskHashes(world, stack).get(shortName)
  }
  for (const shortName of dependenciesFirst(world, stack)) {
    const service = world.services.get(fullServiceName(stack, shortName))!
    const { spec } = wantedVersionOf(service)
    // Who gets other tasks by the same change needs no restart.
    if (hasOtherTasks(shortName) || !restartedWith(spec).some(hasOtherTasks)) continue
    addVersion(world, service, spec, hashesOf(world, stack, spec), at, writes)
  }
}

/** In alphabetical order, so that the hash does not hang on that of the file. */
function restartedWith({ dependsOn }: ServiceSpec): string[] {
  return Object.keys(dependsOn)
    .filter((name) => dependsOn[name]?.restart)
    .sort()
}

/** The stack's services, each after those that it depends on; a circle ends where it began. */
function dependenciesFirst(world: World, stack: string): string[] {
  const ordered = new Set<string>()
  const begun = new Set<string>()
  const visit = (shortName: string) => {
    const service = world.services.get(fullServiceName(stack, shortName))
    if (!service || service.removing || begun.has(shortName)) return
    begun.add(shortName)
    for (const dependency of Object.keys(wantedVersionOf(service).spec.dependsOn)) visit(dependency)
    ordered.add(shortName)
  }
  for (const shortName of taskHashes(world, stack).keys()) visit(shortName)
  return [...ordered]
}
