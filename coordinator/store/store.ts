/**
 * The store's one interface: ordered keys, values as plain data, durable group commit, compare before write, watch.
 * Kept this small so that LMDB serves one coordinator and etcd can serve several.
 */
export type Key = readonly (string | number)[]
/** `bytes`: the value as it is stored, for whoever packed it ahead (`packedAhead`). */
export type Write = { key: Key; value: unknown; bytes?: Uint8Array } | { key: Key; delete: true }
/** The write goes through only if the key still has this revision (0: does not exist). */
export type Compare = { key: Key; revision: number }

export interface Store {
  get(key: Key): unknown
  /** For a later compare: the number of the transaction that last wrote this key; 0 when it does not exist. */
  revision(key: Key): number
  /** All entries whose key begins with `prefix`, in key order. */
  range(
    prefix: Key,
    options?: { after?: Key; limit?: number; reverse?: boolean },
  ): Iterable<{ key: Key; value: unknown }>
  /**
   * Writes all or nothing, resolves true when durable (calls of the same tick share one flush), false when a compare failed.
   * @throws BerthError `disk-full` when there is no room; nothing was written then.
   */
  transact(writes: Write[], compares?: Compare[]): Promise<boolean>
  /**
   * Writes that go with the next transaction, whoever asks for it, or by themselves after a second: they cost no flush of their own.
   * Resolves when durable. Not to be read before. @throws BerthError `disk-full` as `transact`, which fails with them
   */
  along(writes: Write[]): Promise<void>
  watch(prefix: Key, listener: (writes: Write[]) => void): () => void
  sizeBytes(): number
  close(): Promise<void>
}
