/** What one beat stores: writes, events, who is to be told once they are durable, and who waits for that. */

import { compactWrites } from './store/records.ts'
import type { Write } from './store/store.ts'
import type { EventRecord, Node, NodeName, Task, TaskId } from './world.ts'

/** What has been applied to the world and not been stored yet. */
export type Batch = {
  writes: Write[]
  /** With more writes than this, those to the same keys are folded together. */
  foldAbove: number
  eventWrites: Write[]
  events: EventRecord[]
  /** Nodes to be told once this is durable. */
  nodes: Set<NodeName>
  /** Tasks that were forgotten: what their agents said last, which they would not repeat. */
  forgotten: Map<TaskId, Task>
  /** Nodes that were removed, with what was heard of them. */
  removed: Map<NodeName, Node>
  submitters: { revision: number; resolve: (revision: number) => void; reject: (error: unknown) => void }[]
  isEmpty: boolean
}

/** Fewer writes are folded only when they are stored. */
const FOLD_ABOVE_MIN = 50_000

export function newBatch(): Batch {
  return {
    writes: [],
    foldAbove: FOLD_ABOVE_MIN,
    eventWrites: [],
    events: [],
    nodes: new Set(),
    forgotten: new Map(),
    removed: new Map(),
    submitters: [],
    isEmpty: true,
  }
}

/**
 * Folded again only once there are twice as many as were left the last time: with many keys, folding at each write would look at all
 * of them each time.
 */
export function addWrite(batch: Batch, write: Write): void {
  batch.writes.push(write)
  if (batch.writes.length <= batch.foldAbove) return
  batch.writes = compactWrites(batch.writes)
  batch.foldAbove = Math.max(FOLD_ABOVE_MIN, 2 * batch.writes.length)
}

export function mergeBatches(older: Batch, newer: Batch): Batch {
  return {
    writes: compactWrites([...older.writes, ...newer.writes]),
    foldAbove: Math.max(older.foldAbove, newer.foldAbove),
    eventWrites: [...older.eventWrites, ...newer.eventWrites],
    events: [...older.events, ...newer.events],
    nodes: older.nodes.union(newer.nodes),
    forgotten: new Map([...older.forgotten, ...newer.forgotten]),
    removed: new Map([...newer.removed, ...older.removed]),
    submitters: [...older.submitters, ...newer.submitters],
    isEmpty: older.isEmpty && newer.isEmpty,
  }
}

/** Tells whoever waits for the batch that it will not be stored. */
export function refuseAll(batch: Batch, error: unknown): void {
  for (const { reject } of batch.submitters.splice(0)) reject(error)
}
