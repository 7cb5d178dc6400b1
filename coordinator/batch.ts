/** What one beat stores: writes, events, who is to be told once they are durable, and who waits for that. */

import { keyText } from './store/keys.ts'
import type { Write } from './store/store.ts'
import type { EventRecord, Node, NodeName, Task, TaskId } from './world.ts'

/** What has been applied to the world and not been stored yet. */
export type Batch = {
  /** By key: of several writes to one only the last matters. */
  writes: Map<string, Write>
  eventWrites: Map<string, Write>
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

export function newBatch(): Batch {
  return {
    writes: new Map(),
    eventWrites: new Map(),
    events: [],
    nodes: new Set(),
    forgotten: new Map(),
    removed: new Map(),
    submitters: [],
    isEmpty: true,
  }
}

/** Folded as they come, so that storing a batch begins with no look at all of it. */
export function addWrite(batch: Batch, write: Write): void {
  batch.writes.set(keyText(write.key), write)
}

/** An event that is dropped before it was stored needs neither: a beat of many tasks has more of them than are kept. */
export function addEventWrite(batch: Batch, write: Write): void {
  const key = keyText(write.key)
  if ('delete' in write && batch.eventWrites.delete(key)) return
  batch.eventWrites.set(key, write)
}

export function mergeBatches(older: Batch, newer: Batch): Batch {
  return {
    writes: new Map([...older.writes, ...newer.writes]),
    eventWrites: new Map([...older.eventWrites, ...newer.eventWrites]),
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
