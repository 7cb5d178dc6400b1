/** A service's next version, written into the World. */
import type { Instant } from '../../shared/clock.ts'
import type { ServiceSpec } from '../../shared/spec.ts'
import { wantedVersionOf } from '../decide/service-facts.ts'
import type { Rollout, Service, ServiceVersion, World } from '../world.ts'
import { indexService } from './indexes.ts'
import { putService, putVersion } from './records.ts'
import type { Write } from './store.ts'

export type TaskHashes = Pick<ServiceVersion, 'taskHash' | 'ownHash'>

/** A new spec for the service: a rollout when its task is another, else only a number. */
export function addVersion(
  world: World,
  service: Service,
  spec: ServiceSpec,
  { taskHash, ownHash }: TaskHashes,
  at: Instant,
  writes: Write[],
): void {
  const before = wantedVersionOf(service)
  // Never used again, even after a rollback: version 7 that failed and version 8 that worked stay two numbers.
  const number = Math.max(...service.versions.keys()) + 1
  const version: ServiceVersion = { version: number, spec, taskHash, ...(ownHash && { ownHash }), createdAt: at }
  service.versions.set(number, version)
  service.version = number
  service.removing = false
  if (version.taskHash === before.taskHash) {
    service.rollout = sameTasksRollout(service.rollout, number, at)
    service.release = { ...service.release, version: number }
  } else {
    const from = lastGoodVersion(service.rollout)
    service.rollout = { state: 'rolling', version: number, from, startedAt: at, failures: [] }
    service.release = firstRelease(number, spec)
  }
  writes.push(putVersion(service.name, version))
  saveService(world, service, writes)
}

/** A version that leaves the task as it is (replicas, labels, update rules) replaces no task and disturbs no rollout. */
function sameTasksRollout(rollout: Rollout, version: number, at: Instant): Rollout {
  if (rollout.state === 'settled' || rollout.state === 'rolled-back') {
    return { state: 'settled', version, finishedAt: at }
  }
  return { ...rollout, version }
}

/** Where a failing rollout goes back to: the last version that was all there, not a half-rolled one. */
function lastGoodVersion(rollout: Rollout): number | null {
  if (rollout.state === 'rolling' || rollout.state === 'paused') return rollout.from
  return rollout.version
}

/** Held until the loop has looked at the dependencies; nothing to wait for: released at once. */
export function firstRelease(version: number, spec: ServiceSpec): Service['release'] {
  const isFree = Object.keys(spec.dependsOn).length === 0
  return isFree ? { version, state: 'released' } : { version, state: 'held', waitsFor: [] }
}

export function saveService(world: World, service: Service, writes: Write[]): void {
  indexService(world, service)
  writes.push(putService(service))
}
