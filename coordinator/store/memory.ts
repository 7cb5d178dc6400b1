/** The store without a disk, for tests and simulation: same behaviour as LMDB's, nothing survives the process. */
import { BerthError } from '../../shared/errors.ts'
import { compareKeys, hasPrefix, keyText } from './keys.ts'
import type { Key, Store, Write } from './store.ts'
import { bytesOf, unpack } from './values.ts'
import { createWatchers } from './watchers.ts'

type Entry = { key: Key; bytes: Uint8Array; revision: number }

/** Beside the store's own verbs, what tests do to it. */
export type MemoryStore = Store & {
  /** While true every transaction is refused with `disk-full`. */
  setFull(full: boolean): void
  /** What a new process would find: the same entries in a new store. */
  copy(): MemoryStore
}

export function createMemoryStore(from: Iterable<Entry> = []): MemoryStore {
  // Values pass through the same encoding as on disk, so that a value which only memory could hold shows up in tests.
  const entries = new Map<string, Entry>([...from].map((entry) => [keyText(entry.key), entry]))
  const watchers = createWatchers()
  let revision = Math.max(0, ...[...entries.values()].map((entry) => entry.revision))
  let full = false
  let closed = false
  let sorted: Entry[] | null = null
  let last: Promise<unknown> = Promise.resolve()

  const inOrder = () => (sorted ??= [...entries.values()].sort((a, b) => compareKeys(a.key, b.key)))

  const store: MemoryStore = {
    get(key) {
      const entry = entries.get(keyText(key))
      return entry === undefined ? undefined : unpack(entry.bytes)
    },
    revision: (key) => entries.get(keyText(key))?.revision ?? 0,
    *range(prefix, { after, limit = Number.POSITIVE_INFINITY, reverse = false } = {}) {
      let left = limit
      const all = inOrder()
      for (const entry of reverse ? all.toReversed() : all) {
        if (left <= 0) return
        if (!hasPrefix(entry.key, prefix)) continue
        if (after !== undefined && (reverse ? -1 : 1) * compareKeys(entry.key, after) <= 0) continue
        left--
        yield { key: entry.key, value: unpack(entry.bytes) }
      }
    },
    transact(writes, compares = []) {
      if (closed) return Promise.reject(new BerthError('failed', 'the store is closed; nothing was written'))
      const encoded = writes.map((write) => encode(write))
      const result = last.then(() => {
        if (full) throw new BerthError('disk-full', 'the store has no room; nothing was written. Make room on its disk')
        if (compares.some(({ key, revision }) => (entries.get(keyText(key))?.revision ?? 0) !== revision)) return false
        if (writes.length === 0) return true
        revision++
        sorted = null
        for (const { key, bytes } of encoded) {
          if (bytes === null) entries.delete(keyText(key))
          else entries.set(keyText(key), { key, bytes, revision })
        }
        watchers.tell(writes)
        return true
      })
      last = result.catch(() => {})
      return result
    },
    along: async (writes) => void (await store.transact(writes)),
    watch: watchers.add,
    sizeBytes: () => [...entries.values()].reduce((bytes, entry) => bytes + entry.bytes.length, 0),
    async close() {
      closed = true
      await last
    },
    setFull(isFull) {
      full = isFull
    },
    copy: () => createMemoryStore([...entries.values()]),
  }
  return store
}

function encode(write: Write): { key: Key; bytes: Uint8Array | null } {
  return { key: [...write.key], bytes: bytesOf(write) }
}
