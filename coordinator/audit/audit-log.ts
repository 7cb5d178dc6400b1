/**
 * The audit log: which changes were asked for over the API, by whom, from where, and what came of each. Only added to, kept
 * under `audit NUMBER` in the coordinator's store; the oldest make room for the newest.
 */
import type { Instant } from '../../shared/clock.ts'
import type { Key, Store, Write } from '../store/store.ts'

export type AuditRecord = {
  /** From 1, each greater than the one before. One that is missing was dropped as too old, or could not be stored. */
  number: number
  at: Instant
  /** The name of the token: `operator`, or `join` for a host that joins. */
  who: string
  /** The IP address that it came from. */
  from: string
  method: string
  path: string
  /** What the route does, as its description says. */
  what: string
  /** Figures and words of the request that can hold no secret; see details.ts. */
  details: Record<string, string | number | boolean>
  /** Of the answer; null: it is under way, or the coordinator ended before there was one. */
  status: number | null
  /** Of an error; null: it was done, or nobody knows yet. */
  code: string | null
}
export type Asked = Omit<AuditRecord, 'number' | 'status' | 'code'>

export type AuditQuery = { after?: number; since?: Instant; limit: number }

export type AuditLog = {
  /** In the same transaction as the change that is asked for next, so that no change is without its record. */
  begin(asked: Asked): AuditRecord
  /** What came of it. */
  end(record: AuditRecord, status: number, code: string | null): void
  /** Oldest first: behind `after`, or the newest. */
  list(query: AuditQuery): Promise<AuditRecord[]>
}

/** A change takes about 300 bytes, so these are a few MiB. */
export const AUDIT_RECORDS_KEPT = 20_000
const DROPPED_AT_ONCE = 500
const PREFIX: Key = ['audit']

/** `lost`: told of what could not be stored. */
export function openAuditLog(
  store: Pick<Store, 'range' | 'transact' | 'along'>,
  lost: (record: AuditRecord, error: unknown) => void = () => {},
  keep = AUDIT_RECORDS_KEPT,
): AuditLog {
  let next = (numberAt(store, { reverse: true }) ?? 0) + 1
  let oldest = numberAt(store, {}) ?? next

  function dropOldest(): Write[] {
    if (next - oldest < keep + DROPPED_AT_ONCE) return []
    const first = oldest
    oldest = next - keep
    return Array.from({ length: oldest - first }, (_, index) => ({ key: [...PREFIX, first + index], delete: true }))
  }

  function put(record: AuditRecord, drops: Write[]): void {
    store.along([{ key: [...PREFIX, record.number], value: record }, ...drops]).catch((error) => {
      // Its number stays unused: others that came after it may have theirs on the disk by now.
      if (drops.length > 0) oldest = numberAt(store, {}) ?? next
      lost(record, error)
    })
  }

  return {
    begin(asked) {
      const record = { number: next++, ...asked, status: null, code: null }
      put(record, dropOldest())
      return record
    },
    end: (record, status, code) => put({ ...record, status, code }, []),
    async list({ after, since, limit }) {
      // What waits to go along goes now. `lost` hears of what cannot.
      await store.transact([]).catch(() => {})
      const isFromEnd = after === undefined
      const found: AuditRecord[] = []
      const range = store.range(PREFIX, isFromEnd ? { reverse: true } : { after: [...PREFIX, after] })
      for (const { value } of range) {
        if (found.length >= limit) break
        const record = value as AuditRecord
        if (since === undefined || record.at >= since) found.push(record)
      }
      return isFromEnd ? found.reverse() : found
    },
  }
}

function numberAt(store: Pick<Store, 'range'>, order: { reverse?: boolean }): number | null {
  for (const { value } of store.range(PREFIX, { ...order, limit: 1 })) return (value as AuditRecord).number
  return null
}
