/** What one beat stores: writes, events, who is to be told once they are durable, and who waits for that. */

import type { Draft } from './incidents/drafts.ts'
import type { Write } from './store/store.ts'
import { WriteSet } from './store/write-set.ts'
import type { EventRecord, Node, NodeName, Task, TaskId } from './world.ts'

/** What has been applied to the world and not been stored yet. */
export type Batch = {
  writes: WriteSet
  eventWrites: WriteSet
  events: EventRecord[]
  /** Of incidents. */
  drafts: Draft[]
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
    writes: new WriteSet(),
    eventWrites: new WriteSet(),
    events: [],
    drafts: [],
    nodes: new Set(),
    forgotten: new Map(),
    removed: new Map(),
    submitters: [],
    isEmpty: true,
  }
}

/** An event that is dropped before it was stored needs neither: a beat of many tasks has more of them than are kept. */
export function addEventWrite(batch: Batch, write: Write): void {
  if ('delete' in write && batch.eventWrites.drop(write.key)) return
  batch.eventWrites.add(write)
}

export function mergeBatches(older: Batch, newer: Batch): Batch {
  return {
    writes: bothOf(older.writes, newer.writes),
    eventWrites: bothOf(older.eventWrites, newer.eventWrites),
    events: [...older.events, ...newer.events],
    drafts: [...older.drafts, ...newer.drafts],
    nodes: older.nodes.union(newer.nodes),
    forgotten: new Map([...older.forgotten, ...newer.forgotten]),
    removed: new Map([...newer.removed, ...older.removed]),
    submitters: [...older.submitters, ...newer.submitters],
    isEmpty: older.isEmpty && newer.isEmpty,
  }
}

function bothOf(older: WriteSet, newer: WriteSet): WriteSet {
  const both = new WriteSet()
  for (const writes of [older, newer]) for (const write of writes) both.add(write)
  return both
}

/** Tells whoever waits for the batch that it will not be stored. */
export function refuseAll(batch: Batch, error: unknown): void {
  for (const { reject } of batch.submitters.splice(0)) reject(error)
}
