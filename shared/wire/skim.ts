/**
 * Reads through a msgpack frame without building anything, so that no frame can make the real reader recurse too deep,
 * allocate for lengths that are not there, or meet a type that the wire does not use. What passes is one value of
 * nil, booleans, numbers, strings, arrays and maps with string keys, and exactly as long as the frame.
 */

/** Deepest legitimate message: an assignment's spec → container → mounts → driver options is 9 deep. */
export const FRAME_DEPTH_MAX = 32
/**
 * Keys and values together. A full observation of 20,000 tasks with every field has about 1,000,000. It bounds the memory that
 * a frame of tiny values takes once it is built, which is many times that of its bytes.
 */
export const FRAME_VALUES_MAX = 2_000_000

/** What is wrong with the frame, as the end of a sentence, or null when it can be read. Never throws. */
export function faultOfFrame(bytes: Uint8Array): string | null {
  const end = bytes.length
  // For every open array or map: how many values are left in it, and whether keys alternate with values.
  const left = new Uint32Array(FRAME_DEPTH_MAX)
  const isMap = new Uint8Array(FRAME_DEPTH_MAX)
  let depth = 0
  let values = 0
  let at = 0

  for (;;) {
    if (at >= end) return values === 0 ? 'it is empty' : 'it ends in the middle of a value'
    if (++values > FRAME_VALUES_MAX) return `it holds more than ${FRAME_VALUES_MAX} values`
    const token = bytes[at]!
    const isKey = depth > 0 && isMap[depth - 1] === 1 && (left[depth - 1]! & 1) === 0

    let size = SIZE_OF[token]!
    let members = -1
    if (size === LENGTH_8 || size === LENGTH_16 || size === LENGTH_32) {
      const width = size === LENGTH_8 ? 1 : size === LENGTH_16 ? 2 : 4
      if (at + 1 + width > end) return 'it ends in the middle of a value'
      const length = readUnsigned(bytes, at + 1, width)
      const isString = token >= 0xd9 && token <= 0xdb
      size = isString ? 1 + width + length : 1 + width
      if (!isString) members = length
    } else if (size === FORBIDDEN) {
      return `the byte 0x${token.toString(16)} at ${at} begins a type that the wire does not use`
    } else if (token >= 0x80 && token <= 0x9f) {
      members = token & 0x0f
    }

    if (at + size > end) return 'it ends in the middle of a value'
    if (isKey) {
      if (!isStringToken(token)) return `the map key at byte ${at} is not a string`
      if (isProtoKey(bytes, at, size)) return 'it holds the key __proto__'
    }
    at += size

    if (members >= 0) {
      const map = token <= 0x8f || token >= 0xde
      const needed = map ? members * 2 : members
      // Each member takes at least one byte: a length that cannot be there is refused before anybody allocates for it.
      if (needed > end - at) return `it declares ${members} members where ${end - at} bytes are left`
      if (needed > 0) {
        if (depth === FRAME_DEPTH_MAX) return `it is nested deeper than ${FRAME_DEPTH_MAX}`
        left[depth] = needed
        isMap[depth] = map ? 1 : 0
        depth++
        continue
      }
    }
    while (depth > 0 && --left[depth - 1]! === 0) depth--
    if (depth === 0) return at === end ? null : `${end - at} bytes follow its value`
  }
}

const LENGTH_8 = -1
const LENGTH_16 = -2
const LENGTH_32 = -3
const FORBIDDEN = -4

/** By first byte: the size of the whole value (arrays and maps: of their header), or that a length of so many bits follows. */
const SIZE_OF: Int8Array = Int8Array.from({ length: 256 }, (_, token) => {
  if (token <= 0x9f || token >= 0xe0) return 1
  if (token <= 0xbf) return 1 + (token & 0x1f)
  if (token === 0xc0 || token === 0xc2 || token === 0xc3) return 1
  if (token === 0xca) return 5
  if (token === 0xcb) return 9
  if (token >= 0xcc && token <= 0xcf) return 1 + 2 ** (token - 0xcc)
  if (token >= 0xd0 && token <= 0xd3) return 1 + 2 ** (token - 0xd0)
  if (token === 0xd9) return LENGTH_8
  if (token === 0xda || token === 0xdc || token === 0xde) return LENGTH_16
  if (token === 0xdb || token === 0xdd || token === 0xdf) return LENGTH_32
  return FORBIDDEN
})

function readUnsigned(bytes: Uint8Array, at: number, width: number): number {
  let value = 0
  for (let i = 0; i < width; i++) value = value * 256 + bytes[at + i]!
  return value
}

function isStringToken(token: number): boolean {
  return (token >= 0xa0 && token <= 0xbf) || (token >= 0xd9 && token <= 0xdb)
}

const PROTO = Buffer.from('__proto__')

/** Whatever the width of its header: the last bytes of the value are the key. */
function isProtoKey(bytes: Uint8Array, at: number, size: number): boolean {
  const header = size - PROTO.length
  if (header < 1 || header > 5 || bytes[at + header] !== 0x5f) return false
  for (let i = 0; i < PROTO.length; i++) if (bytes[at + header + i] !== PROTO[i]) return false
  // A longer string that merely ends in __proto__ has a header of one of these widths and more text.
  const token = bytes[at]!
  const width = token <= 0xbf ? 1 : token === 0xd9 ? 2 : token === 0xda ? 3 : 5
  return header === width
}
