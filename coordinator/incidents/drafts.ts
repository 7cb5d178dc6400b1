/**
 * Drafts of incidents: what goes bad is stored in the transaction that stores the bad transition itself, with its evidence, and
 * forgotten once it stands in an incident's file. So a kill in between takes nothing along: what is left is taken down at the
 * next start. Each has a number greater than all before it, and files are written in their order: a file tells up to which
 * draft all have been taken down, so that none is counted twice.
 */
import type { Key, Store, Write } from '../store/store.ts'
import type { Incident } from './incident.ts'

/** An incident that is no file yet. */
export type Draft = { number: number; incident: Incident }
export type StoredDrafts = Pick<Store, 'get' | 'range'>

const DRAFTS: Key = ['incident', 'draft']
/** The greatest number that was ever given. */
const DRAFTED: Key = ['incident', 'drafted']

export function draftWrites(drafts: readonly Draft[]): Write[] {
  const newest = drafts.at(-1)
  if (newest === undefined) return []
  const writes: Write[] = drafts.map((draft) => ({ key: [...DRAFTS, draft.number], value: draft }))
  return [...writes, { key: DRAFTED, value: newest.number }]
}

export function forgetDraft(number: number): Write {
  return { key: [...DRAFTS, number], delete: true }
}

/** 0: there was none yet. */
export function newestDraft(store: StoredDrafts): number {
  return Number(store.get(DRAFTED) ?? 0)
}

/** Those that have not been forgotten, in their order, up to `last`. */
export function draftsLeft(store: StoredDrafts, last: number): Draft[] {
  const left: Draft[] = []
  for (const { value } of store.range(DRAFTS)) {
    const draft = value as Draft
    if (draft.number <= last) left.push(draft)
  }
  return left
}
