/**
 * The store on disk: the only file that knows lmdb. One flush is in flight at a time; what is asked for meanwhile shares
 * the next one (group commit). `overlappingSync` stays off: a commit's promise then means that fdatasync has returned,
 * and a failed write fails that commit (docs/decisions/store.md has the figures).
 */
import { chmodSync, mkdirSync, statfsSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { type Database, open, type RootDatabaseOptions } from 'lmdb'
import { BerthError } from '../../shared/errors.ts'
import { lockFolder } from '../../shared/folder-lock.ts'
import { keyText } from './keys.ts'
import type { Compare, Key, Store, Write } from './store.ts'
import { bytesOf, pack, unpack } from './values.ts'
import { createWatchers } from './watchers.ts'

export type LmdbOptions = {
  /** Made with mode 0700 when missing. */
  dir: string
  /** Address space to begin with; it grows as the file does. */
  mapSizeBytes?: number
}

const MAP_BYTES_DEFAULT = 64 * 1024 * 1024
/** Writes that share one flush; more wait for the next. */
const GROUP_WRITES_MAX = 20_000
/** What goes along with other writes waits no longer than this. */
const ALONG_MS = 1_000
/** A failed write with less room than this on the disk is taken for a full disk: LMDB reports a short write as EIO. */
const DISK_FULL_BELOW_BYTES = 4 * 1024 * 1024
/** Where the count of transactions is kept. Symbols lie outside every range of keys. */
const REVISION = Symbol.for('berth.revision')
/** Comes after every string and number that may follow a prefix. */
const LAST = new Uint8Array([0xff])
const ENOSPC = 28
const EIO = 5
const EDQUOT = 122
const MAP_FULL = -30792

type Encoded = { key: Key; bytes: Uint8Array | null }
type Asked = {
  writes: Write[]
  encoded: Encoded[]
  compares: Compare[]
  resolve: (done: boolean) => void
  reject: (error: unknown) => void
}
type LmdbKey = (string | number | Uint8Array)[] | symbol

/**
 * Opens (or makes) the store in a folder that is then this process's alone.
 * @throws BerthError `conflict` when another process has it open.
 */
export async function openLmdbStore(options: LmdbOptions): Promise<Store> {
  mkdirSync(options.dir, { recursive: true, mode: 0o700 })
  chmodSync(options.dir, 0o700)
  const unlock = lockFolder(options.dir, 'coordinator')
  try {
    return createStore(options, unlock)
  } catch (error) {
    unlock()
    throw error
  }
}

function createStore(options: LmdbOptions, unlock: () => void): Store {
  const path = join(options.dir, 'store.mdb')
  const db = openDatabase(path, options)
  const watchers = createWatchers()
  const queue: Asked[] = []
  const riders: Asked[] = []
  let revision = Number(decode(db.get(REVISION)) ?? 0)
  let flushing: Promise<void> | null = null
  let closed = false

  function ask(writes: Write[], compares: Compare[], into: Asked[]): Promise<boolean> {
    if (closed) return Promise.reject(new BerthError('failed', 'the store is closed; nothing was written'))
    // Encoded now: the writer may go on changing its objects while an earlier flush is in flight.
    const encoded = writes.map((write) => encode(write))
    return new Promise((resolve, reject) => into.push({ writes, encoded, compares, resolve, reject }))
  }

  function flushSoon(): void {
    // In front: they were asked for earlier.
    queue.unshift(...riders.splice(0))
    flushing ??= Promise.resolve().then(flushAll)
  }

  async function flushAll() {
    while (queue.length > 0) await flush(takeGroup(queue))
    flushing = null
  }

  async function flush(group: Asked[]) {
    const accepted = new Map<Asked, number>()
    // Only who compares needs to know what the others of the group write.
    const isCompared = group.some(({ compares }) => compares.length > 0)
    const written = new Map<string, number>()
    const revisionOf = (key: Key) => written.get(keyText(key)) ?? storedRevision(db, key)
    let next = revision
    let writes = 0
    for (const asked of group) {
      if (asked.compares.some((compare) => revisionOf(compare.key) !== compare.revision)) continue
      accepted.set(asked, ++next)
      writes += asked.encoded.length
      if (!isCompared) continue
      for (const { key, bytes } of asked.encoded) written.set(keyText(key), bytes === null ? 0 : next)
    }
    try {
      if (writes > 0) await commit(accepted, next)
    } catch (error) {
      const told = await storeError(error, path)
      for (const asked of group) asked.reject(told)
      return
    }
    revision = next
    for (const asked of group) asked.resolve(accepted.has(asked))
    for (const asked of accepted.keys()) watchers.tell(asked.writes)
  }

  function commit(accepted: Map<Asked, number>, next: number): Promise<unknown> {
    return db.batch(() => {
      for (const [asked, number] of accepted) {
        for (const { key, bytes } of asked.encoded) {
          if (bytes === null) db.remove(key as LmdbKey)
          else db.put(key as LmdbKey, bytes, number)
        }
      }
      db.put(REVISION, pack(next), next)
    })
  }

  return {
    get: (key) => decode(db.get(key as LmdbKey)),
    revision: (key) => storedRevision(db, key),
    *range(prefix, { after, limit, reverse = false } = {}) {
      const low = prefix.length === 0 ? undefined : ([...prefix] as LmdbKey)
      const high: LmdbKey = [...prefix, LAST]
      const from = after === undefined ? (reverse ? high : low) : ([...after] as LmdbKey)
      const range = db.getRange({
        ...(from === undefined ? {} : { start: from }),
        ...(reverse ? { end: low ?? [Number.NEGATIVE_INFINITY], reverse, inclusiveEnd: true } : { end: high }),
        ...(limit === undefined ? {} : { limit }),
        exclusiveStart: after !== undefined,
      })
      for (const { key, value } of range) yield { key: asKey(key), value: decode(value) }
    },
    transact(writes, compares = []) {
      const done = ask(writes, compares, queue)
      flushSoon()
      return done
    },
    async along(writes) {
      if (riders.length === 0) setTimeout(flushSoon, ALONG_MS).unref()
      await ask(writes, [], riders)
    },
    watch: watchers.add,
    sizeBytes: () => statSync(path).size,
    async close() {
      if (closed) return
      closed = true
      flushSoon()
      await flushing
      await db.close()
      unlock()
    },
  }
}

/** `eventTurnBatching` off: its begin instruction has a promise that nobody holds, and a failed commit rejects it. */
function openDatabase(path: string, options: LmdbOptions): Database<Uint8Array, LmdbKey> {
  const settings: RootDatabaseOptions = {
    noSubdir: true,
    useVersions: true,
    encoding: 'binary',
    overlappingSync: false,
    eventTurnBatching: false,
    mapSize: options.mapSizeBytes ?? MAP_BYTES_DEFAULT,
  }
  const db = open<Uint8Array, LmdbKey>(path, settings)
  for (const file of [path, `${path}-lock`]) chmodSync(file, 0o600)
  return db
}

function takeGroup(queue: Asked[]): Asked[] {
  let writes = 0
  let count = 0
  while (count < queue.length && (count === 0 || writes + queue[count]!.encoded.length <= GROUP_WRITES_MAX)) {
    writes += queue[count]!.encoded.length
    count++
  }
  return queue.splice(0, count)
}

function storedRevision(db: Database<Uint8Array, LmdbKey>, key: Key): number {
  return db.getEntry(key as LmdbKey)?.version ?? 0
}

function encode(write: Write): Encoded {
  return { key: [...write.key], bytes: bytesOf(write) }
}

function decode(bytes: Uint8Array | undefined): unknown {
  return bytes === undefined ? undefined : unpack(bytes)
}

/** LMDB gives a key of one part back without its array. */
function asKey(key: unknown): Key {
  return Array.isArray(key) ? (key as Key) : [key as string | number]
}

/** What a failed commit means to an operator: no room (nothing was written, the store goes on), or a disk not to be trusted. */
async function storeError(error: unknown, path: string): Promise<BerthError> {
  const cause = await commitErrorOf(error)
  const code = (cause as { code?: number }).code
  const folder = statfsSync(dirname(path))
  const freeBytes = folder.bavail * folder.bsize
  const noRoom = code === ENOSPC || code === EDQUOT || code === MAP_FULL
  if (noRoom || (code === EIO && freeBytes < DISK_FULL_BELOW_BYTES)) {
    return new BerthError(
      'disk-full',
      `no room to write the store at ${path} (${freeBytes} bytes free); nothing was changed. Make room on that disk`,
      { cause, details: { path, freeBytes } },
    )
  }
  return new BerthError('failed', `cannot write the store at ${path}: ${(cause as Error).message}. Check that disk`, {
    cause,
    details: { path },
  })
}

/** lmdb rejects with a promise of the reason in hand. */
async function commitErrorOf(error: unknown): Promise<unknown> {
  const reason = (error as { commitError?: Promise<unknown> }).commitError
  if (reason === undefined) return error
  try {
    await reason
    return error
  } catch (cause) {
    return cause
  }
}
