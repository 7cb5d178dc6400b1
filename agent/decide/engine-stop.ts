/**
 * Whether a container ended because its Engine, or its whole host, stopped. Such an end says nothing about the task: it is
 * started again at once, whatever its exit code, and counts as no failure.
 *
 * A Docker Engine that stops ends its containers, each as it likes: exit code 0 where SIGTERM is heeded, 137 or 143 where not; one
 * that was killed ends them when it starts again. The exit code therefore tells nothing, only the time does.
 */
import type { Instant } from '../../shared/clock.ts'
import type { Container } from './container.ts'

export type EngineStops = {
  /** The latest time in which the Engine was away and its containers with it; `until` null: it still is. */
  absence: { since: Instant; until: Instant | null } | null
  /** When this host was switched on; null: not known. */
  bootedAt: Instant | null
}

export const NEVER_STOPPED: EngineStops = { absence: null, bootedAt: null }

/** A busy agent notices late that its Engine went, and an Engine that has begun to answer may still be clearing up. */
const NOTICED_LATE_MS = 2_000

export function endedWithEngine(
  { startedAt, finishedAt }: Pick<Container, 'startedAt' | 'finishedAt'>,
  { absence, bootedAt }: EngineStops,
): boolean {
  if (startedAt === null) return false
  if (bootedAt !== null && startedAt < bootedAt) return true
  if (absence === null || finishedAt === null || startedAt >= absence.since) return false
  const until = absence.until ?? Number.POSITIVE_INFINITY
  return finishedAt >= absence.since - NOTICED_LATE_MS && finishedAt <= until + NOTICED_LATE_MS
}

/** The Engine did not answer at `at`, and was not merely slow. */
export function engineWentAway({ absence, bootedAt }: EngineStops, at: Instant): EngineStops {
  const isKnown = absence !== null && absence.until === null
  return isKnown ? { absence, bootedAt } : { absence: { since: at, until: null }, bootedAt }
}

/** It answers again. Where containers go on without their Engine (live restore, Podman) its absence ended none. */
export function engineCameBack(stops: EngineStops, at: Instant, endsContainers: boolean): EngineStops {
  const { absence } = stops
  if (absence === null || absence.until !== null) return stops
  return { ...stops, absence: endsContainers ? { since: absence.since, until: at } : null }
}
