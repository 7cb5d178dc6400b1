/** Who comes first when room is short: the higher priority, then whoever has asked for longer. */
import type { Instant } from '../../shared/clock.ts'
import { PRIORITY_DEFAULT } from '../../shared/spec.ts'
import type { Service, TaskId } from '../world.ts'
import type { PlaceRequest } from './requests.ts'
import { wantedVersionOf } from './service-facts.ts'

/**
 * That of the service's wanted version: a deployment that changes nothing but the priority counts at once, for the tasks
 * that run already as well. So a service has one priority at any time, and its tasks never preempt each other.
 */
export function priorityOf(service: Service): number {
  return wantedVersionOf(service).spec.priority ?? PRIORITY_DEFAULT
}

/**
 * The requests by priority, highest first, and within a priority oldest first; `createdAt` tells the age of a task (one
 * that this beat makes is the youngest). Equal ones stay in the order given.
 */
export function byPriority(requests: readonly PlaceRequest[], createdAt: (task: TaskId) => Instant): PlaceRequest[][] {
  const levels = new Map<number, PlaceRequest[]>()
  for (const request of requests) {
    const priority = priorityOf(request.service)
    const level = levels.get(priority)
    if (level) level.push(request)
    else levels.set(priority, [request])
  }
  const ordered = [...levels].sort(([a], [b]) => b - a).map(([, level]) => level)
  for (const level of ordered) level.sort((a, b) => createdAt(a.task) - createdAt(b.task))
  return ordered
}
