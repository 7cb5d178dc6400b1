/** Values as bytes: the store's only file that knows msgpackr. Plain maps, so that any msgpack reader can read the store. */
import { strict as assert } from 'node:assert'
import { Packr } from 'msgpackr'
import { FORBIDDEN_KEY } from '../../shared/names.ts'
import { assertKey } from './keys.ts'
import type { Write } from './store.ts'

// Without variable sizes an object with more than 65,535 keys cannot be written.
const packr = new Packr({ useRecords: false, variableMapSize: true })

/**
 * The bytes are the caller's own: msgpackr would reuse its buffer.
 * @throws AssertionError for a value with a key `__proto__`. msgpackr would give it back under another name; every door refuses
 *   it, so one that has come this far is a broken assumption.
 */
export function pack(value: unknown): Buffer {
  const bytes = Buffer.from(packr.pack(value))
  // Looking through the bytes is next to nothing; as a text, rather than as a key, it may stand in them.
  if (bytes.includes(FORBIDDEN_KEY)) assert(!hasForbiddenKey(value), `no value of the store has a key ${FORBIDDEN_KEY}`)
  return bytes
}

/**
 * The write with its key looked at and its value packed, so that a store takes it in no time: for many writes, in turns. Neither key
 * nor value may change afterwards.
 */
export function packedAhead(write: Write): Write {
  if ('delete' in write) return write
  assertKey(write.key)
  return { ...write, bytes: pack(write.value) }
}

/** What is to be stored under the key; null: nothing any more. */
export function bytesOf(write: Write): Uint8Array | null {
  if ('delete' in write) {
    assertKey(write.key)
    return null
  }
  if (write.bytes !== undefined) return write.bytes
  assertKey(write.key)
  return pack(write.value)
}

export function unpack(bytes: Uint8Array): unknown {
  return packr.unpack(bytes)
}

function hasForbiddenKey(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  return Object.hasOwn(value, FORBIDDEN_KEY) || Object.values(value).some(hasForbiddenKey)
}
