/** How far a target is in the log store. It is kept on the disk, so that nothing is left out over a restart. */
import type { BegunLine } from '../../shared/json-log.ts'
import type { LogLine } from '../../shared/wire/up.ts'
import type { Segment } from '../logs/service-log.ts'
import type { Origin } from './line.ts'

/** In the log of one service; what the target has of the segment that it is in. */
export type Cursor = {
  segment: number
  /** Bytes of the file. */
  at: number
  lines: number
  rawBytes: number
  /** Of the latest line there, epoch ms; 0: it had none yet. */
  to: number
}

/** Of a container: a line of which the end was not there yet. */
export type Begun = { origin: Origin; lines: [LogLine['source'], BegunLine][] }

export type Position = { services: Record<string, Cursor>; begun: Begun[] }

export const AT_THE_BEGINNING: Position = { services: {}, begun: [] }
export const FIRST: Cursor = { segment: 0, at: 0, lines: 0, rawBytes: 0, to: 0 }

/** Of the log store, what a position is in. */
export type KeptLogs = { services(): string[]; segments(service: string): readonly Segment[] }

/** Behind all that is kept by now. */
export function positionAtEnd(store: KeptLogs): Position {
  const services = store.services().map((service) => [service, endOf(store.segments(service))] as const)
  return { services: Object.fromEntries(services), begun: [] }
}

export function endOf(segments: readonly Segment[]): Cursor {
  const last = segments.at(-1)
  if (last === undefined) return FIRST
  const { bytes, lines, rawBytes, to } = last.summary
  return { segment: last.number, at: bytes, lines, rawBytes, to }
}

/**
 * A position that a coordinator that was started anew finds on the disk. A service whose segments all went has begun to count
 * anew; one that is not known any more needs no place.
 */
export function positionFound({ services, begun }: Position, store: KeptLogs): Position {
  const known = new Set(store.services())
  const kept = Object.entries(services).filter(([service, { segment, at }]) => {
    const last = store.segments(service).at(-1)
    const isAhead =
      last !== undefined && (segment > last.number || (segment === last.number && at > last.summary.bytes))
    return known.has(service) && last !== undefined && !isAhead
  })
  return { services: Object.fromEntries(kept), begun }
}
