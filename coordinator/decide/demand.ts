/**
 * What a task is assumed to need, for policies to reckon with: what it is promised; where nothing is, what tasks of its
 * service were measured to use of late; for a service never seen, a guess that is stated here. It binds nobody: checks
 * ask for promises alone, and what a container really uses is measured.
 */
import type { ServiceVersion } from '../world.ts'
import type { Need } from './policies/policy.ts'

/** Of a service never seen. About what a small web service uses; what matters is that it is not nothing. */
export const NEED_UNKNOWN: Need = { cpuCores: 0.1, memoryBytes: 128 * 1024 * 1024 }

/** An idle container needs a little, too: ten thousand of them are not free. */
const NEED_LEAST: Need = { cpuCores: 0.001, memoryBytes: 1024 * 1024 }

/** `measured`: what tasks of the service use, see `service-usage.ts`; null: not known. */
export function needOf({ spec }: ServiceVersion, measured: Need | null): Need {
  const { reservation, limit } = spec.task.container.resources
  const guess = measured ?? {
    cpuCores: Math.min(NEED_UNKNOWN.cpuCores, limit.cpuCores || Number.POSITIVE_INFINITY),
    memoryBytes: Math.min(NEED_UNKNOWN.memoryBytes, limit.memoryBytes || Number.POSITIVE_INFINITY),
  }
  return {
    cpuCores: Math.max(NEED_LEAST.cpuCores, reservation.cpuCores || guess.cpuCores),
    memoryBytes: Math.max(NEED_LEAST.memoryBytes, reservation.memoryBytes || guess.memoryBytes),
  }
}

/** Whether all of its need is promised, so that nothing has to be assumed. */
export function isReserved({ spec }: ServiceVersion): boolean {
  const { cpuCores, memoryBytes } = spec.task.container.resources.reservation
  return cpuCores > 0 && memoryBytes > 0
}
