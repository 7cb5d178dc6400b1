/**
 * Compose's `depends_on.restart`: who depends on a service in this way gets new tasks when that one does. The hash of such a
 * task holds the hashes of the tasks that it is restarted with, so everything else follows as for any other change of a task:
 * it is held until its dependencies are met again, replaced by its own update rules, and left alone when nothing changed.
 */
import { createHash } from 'node:crypto'
import type { Instant } from '../../shared/clock.ts'
import { fullServiceName } from '../../shared/names.ts'
import { canonicalJson, type ServiceSpec, specHash } from '../../shared/spec.ts'
import { dependenciesFirst } from '../decide/dependencies-first.ts'
import { wantedVersionOf } from '../decide/service-facts.ts'
import type { ServiceName, World } from '../world.ts'
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

/** By full name: what the tasks of the stack's services are now. */
export function taskHashes(world: World, stack: string): Map<ServiceName, string> {
  const services = [...world.services.values()].filter((service) => service.stack === stack && !service.removing)
  return new Map(services.map((service) => [service.name, wantedVersionOf(service).taskHash]))
}

/** After a change to services of the stack: the next version for those that are to be restarted with one that has other tasks now. */
export function restartDependents(
  world: World,
  stack: string,
  before: ReadonlyMap<ServiceName, string>,
  at: Instant,
  writes: Write[],
): void {
  const changed = new Set<ServiceName>()
  const now = taskHashes(world, stack)
  for (const [name, hash] of now) if (before.has(name) && before.get(name) !== hash) changed.add(name)
  if (changed.size === 0) return
  for (const service of dependenciesFirst(world, now.keys())) {
    const { spec } = wantedVersionOf(service)
    const isDue = restartedWith(spec).some((shortName) => changed.has(fullServiceName(stack, shortName)))
    // Who gets other tasks by the same change needs no restart.
    if (!isDue || changed.has(service.name)) continue
    addVersion(world, service, spec, hashesOf(world, stack, spec), at, writes)
    changed.add(service.name)
  }
}

/** In alphabetical order, so that the hash does not hang on that of the file. */
function restartedWith({ dependsOn }: ServiceSpec): string[] {
  return Object.keys(dependsOn)
    .filter((name) => dependsOn[name]?.restart)
    .sort()
}
