/** Values as bytes: the store's only file that knows msgpackr. Plain maps, so that any msgpack reader can read the store. */
import { Packr } from 'msgpackr'

// Without variable sizes an object with more than 65,535 keys cannot be written.
const packr = new Packr({ useRecords: false, variableMapSize: true })

/** The bytes are the caller's own: msgpackr would reuse its buffer. */
export function pack(value: unknown): Buffer {
  return Buffer.from(packr.pack(value))
}

export function unpack(bytes: Uint8Array): unknown {
  return packr.unpack(bytes)
}
