/**
 * The door: bytes become checked messages here and nowhere else, and this is the only file that knows msgpackr. Frames are
 * plain msgpack (maps, no extensions, no shared structures), so any msgpack reader can read one from a capture.
 */
import { createRequire } from 'node:module'
import { Packr } from 'msgpackr'
import { BerthError } from '../errors.ts'
import { DOWN_CHECKS, UP_CHECKS } from './checks.ts'
import type { DownMessage } from './down.ts'
import type { firstFault as FirstFault } from './faults.ts'
import { readHeartbeat } from './read-heartbeat.ts'
import { faultOfFrame } from './skim.ts'
import type { UpMessage } from './up.ts'

/** Larger frames are neither sent nor read; give it to the websocket as its limit of payload too. */
export const FRAME_BYTES_MAX = 16 * 1024 * 1024

export type DecodeFault = {
  ok: false
  code: 'not-msgpack' | 'too-large' | 'wrong-type'
  /** A sentence that names the place, e.g. `heartbeat at /load/cpuCoresUsed: must be >= 0`. */
  reason: string
}
export type Decoded<Message> = { ok: true; message: Message } | DecodeFault

/**
 * One frame. Members that are undefined are left out.
 * @throws BerthError `too-large` above FRAME_BYTES_MAX: whoever sends must split before.
 */
export function encode(message: UpMessage | DownMessage): Uint8Array {
  const bytes = packr.pack(message)
  if (bytes.length > PACK_BUFFER_BYTES) releasePackBuffer()
  if (bytes.length > FRAME_BYTES_MAX) {
    throw new BerthError(
      'too-large',
      `a ${message.kind} of ${bytes.length} bytes is over the ${FRAME_BYTES_MAX} of a frame`,
    )
  }
  return bytes
}

/** Never throws, whatever the bytes. */
export function decodeUp(bytes: Uint8Array): Decoded<UpMessage> {
  const heartbeat = readHeartbeat(bytes)
  return heartbeat === null ? decodeUpInFull(bytes) : { ok: true, message: heartbeat }
}

/** The same without the short way of heartbeats: what that is held to. */
export function decodeUpInFull(bytes: Uint8Array): Decoded<UpMessage> {
  return decode(bytes, UP)
}

/** Never throws, whatever the bytes. */
export function decodeDown(bytes: Uint8Array): Decoded<DownMessage> {
  return decode(bytes, DOWN)
}

function decode<Message>(bytes: Uint8Array, family: Family): Decoded<Message> {
  if (bytes.length > FRAME_BYTES_MAX) {
    return { ok: false, code: 'too-large', reason: `a frame of ${bytes.length} bytes; ${FRAME_BYTES_MAX} are allowed` }
  }
  const fault = faultOfFrame(bytes)
  if (fault !== null) return { ok: false, code: 'not-msgpack', reason: `the frame cannot be read: ${fault}` }
  const value = unpack(bytes)
  if (!value.ok) return value
  return checked(value.value, family)
}

/** skim.ts has looked for all that makes msgpackr throw; should it throw still, that is the frame's fault and not ours. */
function unpack(bytes: Uint8Array): { ok: true; value: unknown } | DecodeFault {
  try {
    return { ok: true, value: packr.unpack(bytes) }
  } catch (error) {
    return { ok: false, code: 'not-msgpack', reason: `the frame cannot be read: ${brief(String(error))}` }
  }
}

/** One union, checked by `kind` first: that is faster than trying each member, and the reason can name the field of the one meant. */
type Family = { direction: 'up' | 'down'; checks: Record<string, (value: unknown) => boolean> }

const UP: Family = { direction: 'up', checks: UP_CHECKS }
const DOWN: Family = { direction: 'down', checks: DOWN_CHECKS }

function checked<Message>(value: unknown, { direction, checks }: Family): Decoded<Message> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return wrongType('a message is a map')
  const kind = 'kind' in value ? value.kind : undefined
  if (typeof kind !== 'string') return wrongType('a message has a text at /kind')
  if (!Object.hasOwn(checks, kind)) {
    return wrongType(`at /kind: ${JSON.stringify(brief(kind))} is none of ${Object.keys(checks).join(', ')}`)
  }
  if (checks[kind]!(value)) return { ok: true, message: value as Message }
  return wrongType(`${kind} ${brief(faultIn(direction, kind, value) ?? 'has the wrong shape')}`)
}

function faultIn(direction: Family['direction'], kind: string, value: unknown): string | null {
  const { firstFault } = require('./faults.ts') as { firstFault: typeof FirstFault }
  return firstFault(direction, kind, value)
}

const require = createRequire(import.meta.url)

function wrongType(reason: string): DecodeFault {
  return { ok: false, code: 'wrong-type', reason }
}

/** What a peer sent goes into logs and answers: never the whole of it. */
function brief(text: string): string {
  return text.length > 200 ? `${text.slice(0, 200)}…` : text
}

const PACK_BUFFER_BYTES = 64 * 1024

type PackrOptions = NonNullable<ConstructorParameters<typeof Packr>[0]> & { skipValues: unknown[] }
const packrOptions: PackrOptions = {
  useRecords: false,
  mapsAsObjects: true,
  variableMapSize: true,
  int64AsType: 'number',
  skipValues: [undefined],
}
const packr = new Packr(packrOptions)

/** msgpackr keeps growing one buffer and gives out parts of it: one large frame would be held by every small one after it. */
function releasePackBuffer(): void {
  packr.useBuffer(Buffer.allocUnsafeSlow(PACK_BUFFER_BYTES))
}
