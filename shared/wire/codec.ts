/**
 * The door: bytes become checked messages here and nowhere else, and this is the only file that knows msgpackr. Frames are
 * plain msgpack (maps, no extensions, no shared structures), so any msgpack reader can read one from a capture.
 */
import { Packr } from 'msgpackr'
import type { Static, TSchema } from 'typebox'
import { Compile, type Validator } from 'typebox/compile'
import { BerthError } from '../errors.ts'
import { DownMessage } from './down.ts'
import { faultOfFrame } from './skim.ts'
import { UpMessage } from './up.ts'

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
  return decode(bytes, UP)
}

/** Never throws, whatever the bytes. */
export function decodeDown(bytes: Uint8Array): Decoded<DownMessage> {
  return decode(bytes, DOWN)
}

function decode<Message>(bytes: Uint8Array, family: Family<Message>): Decoded<Message> {
  if (bytes.length > FRAME_BYTES_MAX) {
    return { ok: false, code: 'too-large', reason: `a frame of ${bytes.length} bytes; ${FRAME_BYTES_MAX} are allowed` }
  }
  const fault = faultOfFrame(bytes)
  if (fault !== null) return { ok: false, code: 'not-msgpack', reason: `the frame cannot be read: ${fault}` }
  const value = unpack(bytes)
  if (!value.ok) return value
  return family.check(value.value)
}

/** skim.ts has looked for all that makes msgpackr throw; should it throw still, that is the frame's fault and not ours. */
function unpack(bytes: Uint8Array): { ok: true; value: unknown } | DecodeFault {
  try {
    return { ok: true, value: packr.unpack(bytes) }
  } catch (error) {
    return { ok: false, code: 'not-msgpack', reason: `the frame cannot be read: ${brief(String(error))}` }
  }
}

/**
 * One union, checked by `kind` first: that is faster than trying each member, and the reason can name the field of the one
 * meant. Checks are compiled on first use, since an agent reads only one of the unions.
 */
class Family<Message> {
  readonly #schemas = new Map<string, TSchema>()
  readonly #checks = new Map<string, Validator>()

  constructor(union: { anyOf: readonly (TSchema & { properties: { kind: { const: string } } })[] }) {
    for (const schema of union.anyOf) this.#schemas.set(schema.properties.kind.const, schema)
  }

  check(value: unknown): Decoded<Message> {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return wrongType('a message is a map')
    const kind = 'kind' in value ? value.kind : undefined
    if (typeof kind !== 'string') return wrongType('a message has a text at /kind')
    const check = this.#checkFor(kind)
    if (check === undefined) {
      return wrongType(`at /kind: ${JSON.stringify(brief(kind))} is none of ${[...this.#schemas.keys()].join(', ')}`)
    }
    if (check.Check(value)) return { ok: true, message: value as Message }
    return wrongType(firstFault(kind, check, value))
  }

  #checkFor(kind: string): Validator | undefined {
    const ready = this.#checks.get(kind)
    if (ready !== undefined) return ready
    const schema = this.#schemas.get(kind)
    if (schema === undefined) return undefined
    const check = Compile(schema)
    this.#checks.set(kind, check)
    return check
  }
}

const UP = new Family<Static<typeof UpMessage>>(UpMessage)
const DOWN = new Family<Static<typeof DownMessage>>(DownMessage)

function wrongType(reason: string): DecodeFault {
  return { ok: false, code: 'wrong-type', reason }
}

function firstFault(kind: string, check: Validator, value: unknown): string {
  const [fault] = check.Errors(value)
  if (fault === undefined) return `${kind} has the wrong shape`
  return `${kind} at ${brief(fault.instancePath || '/')}: ${brief(fault.message)}`
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
