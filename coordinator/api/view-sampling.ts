/** How often the load of a task is read, and why: as data and in words. */
import type { ReasonDocument, TaskDocument } from '../../shared/api.ts'
import type { ContainerLoad, PaceReason } from '../../shared/load.ts'

/** Undefined: it is not measured, or by an agent of an earlier build. */
export function viewSampling(load: ContainerLoad | undefined): TaskDocument['sampling'] {
  if (load?.sampledEveryMs === undefined || load.sampledBecause === undefined) return undefined
  const { sampledEveryMs: everyMs, sampledBecause: because, sampledWantedMs: wantedMs } = load
  return { everyMs, because, ...(wantedMs !== undefined && { wantedMs }) }
}

export function samplingReason(load: ContainerLoad | undefined): ReasonDocument | null {
  const sampling = viewSampling(load)
  if (!sampling) return null
  const { everyMs, because, wantedMs } = sampling
  const heldBack = wantedMs === undefined ? '' : `; ${seconds(wantedMs)} is wanted, but its node has too many to read`
  return { kind: 'sampling', message: `its load is read every ${seconds(everyMs)}: ${WORDS[because]}${heldBack}` }
}

const WORDS: Record<PaceReason, string> = {
  stopping: 'it is being stopped',
  unhealthy: 'it is unhealthy',
  restarted: 'it was restarted just now',
  starting: 'it is starting up',
  rollout: 'its service is under rollout there',
  'near-limit': 'it is near its memory limit',
  throttled: 'its CPU limit throttles it',
  changing: 'what it uses has just changed',
  'first-look': 'it was not measured before',
  settling: 'it has been in trouble of late',
  calm: 'it is calm',
}

function seconds(ms: number): string {
  return `${Math.round(ms / 100) / 10} s`
}
