import fc from 'fast-check'
import { Packr } from 'msgpackr'
import { describe, expect, test } from 'vitest'
import { decodeDown, decodeUp, encode, FRAME_BYTES_MAX } from '../../../shared/wire/codec.ts'
import { DownMessage } from '../../../shared/wire/down.ts'
import { FRAME_DEPTH_MAX, FRAME_VALUES_MAX } from '../../../shared/wire/skim.ts'
import { UpMessage } from '../../../shared/wire/up.ts'
import { arbitraryOf } from './arbitrary-of-schema.ts'

const upMessage = arbitraryOf(UpMessage) as fc.Arbitrary<UpMessage>
const downMessage = arbitraryOf(DownMessage) as fc.Arbitrary<DownMessage>
const plain = new Packr({ useRecords: false, variableMapSize: true })
const notice: UpMessage = { kind: 'notice', at: 1, code: 'engine-down', message: 'it went away' }

describe('what is sent is what is read', () => {
  test('every message up comes out as it went in', () => {
    fc.assert(
      fc.property(upMessage, (message) => {
        expect(decodeUp(encode(message))).toEqual({ ok: true, message })
      }),
      { numRuns: 500 },
    )
  })

  test('every message down comes out as it went in', () => {
    fc.assert(
      fc.property(downMessage, (message) => {
        expect(decodeDown(encode(message))).toEqual({ ok: true, message })
      }),
      { numRuns: 500 },
    )
  })

  test('a member that is undefined is left out of the frame', () => {
    const decoded = decodeUp(encode({ ...notice, task: undefined }))
    expect(decoded).toEqual({ ok: true, message: notice })
    expect(decoded.ok && 'task' in decoded.message).toBe(false)
  })

  test('integers up to 2^53 stay exact, whichever width another writer chose', () => {
    const bytes = 2 ** 53 - 1
    expect(decodeUp(encode({ ...notice, at: bytes }))).toEqual({ ok: true, message: { ...notice, at: bytes } })
    const wide = plain.pack({ ...notice, at: BigInt(bytes) })
    expect(decodeUp(wide)).toEqual({ ok: true, message: { ...notice, at: bytes } })
  })

  test('frames are plain msgpack that a reader without our settings understands', () => {
    fc.assert(
      fc.property(downMessage, (message) => {
        expect(plain.unpack(encode(message))).toEqual(message)
      }),
    )
  })

  test('a large frame does not disturb the frames made before and after it', () => {
    const before = encode(notice)
    const large = encode({ ...notice, kind: 'notice', message: 'x'.repeat(4096) })
    const lines = Array.from({ length: 200 }, () => ({
      task: 't',
      at: 1,
      source: 'stdout' as const,
      text: 'y'.repeat(1000),
    }))
    encode({ kind: 'log-lines', stream: 's', lines, dropped: 0 })
    const after = Array.from({ length: 300 }, (_, i) => encode({ ...notice, at: i }))
    expect(decodeUp(before)).toEqual({ ok: true, message: notice })
    expect(decodeUp(large).ok).toBe(true)
    expect(after.map((bytes) => decodeUp(bytes))).toEqual(
      after.map((_, i) => ({ ok: true, message: { ...notice, at: i } })),
    )
  })
})

describe('a message of the wrong type is refused with the place', () => {
  test.each<[string, unknown, string]>([
    ['a field of the wrong type', { ...notice, at: 'noon' }, 'notice at /at: must be number'],
    ['a negative count', { kind: 'resync', revision: -1, reason: '' }, 'resync at /revision: must be >= 0'],
    ['a missing field', { kind: 'goodbye' }, 'goodbye at /: must have required properties reason'],
    ['a number that is not one', { ...notice, at: Number.NaN }, 'notice at /at: must be number'],
    ['a message without a kind', { at: 1 }, 'a message has a text at /kind'],
    ['a bare number', 7, 'a message is a map'],
    ['a list', [notice], 'a message is a map'],
    ['nothing', null, 'a message is a map'],
  ])('%s', (_what, value, reason) => {
    expect(decodeUp(plain.pack(value))).toEqual({ ok: false, code: 'wrong-type', reason })
  })

  test('a message of the other direction', () => {
    const decoded = decodeUp(encode({ kind: 'log-close', stream: 's' }))
    expect(decoded).toMatchObject({
      ok: false,
      code: 'wrong-type',
      reason: expect.stringContaining('"log-close" is none of hello'),
    })
  })

  test('a reason stays short however long the wrong value is', () => {
    const decoded = decodeUp(plain.pack({ kind: 'k'.repeat(1_000_000) }))
    expect(!decoded.ok && decoded.reason.length).toBeLessThan(500)
  })

  test('a field that this version does not know is let through, so that the next version may add one', () => {
    expect(decodeUp(plain.pack({ ...notice, weather: 'fine' })).ok).toBe(true)
  })
})

describe('a frame that is not ours is refused before it can cost anything', () => {
  test.each<[string, number[], RegExp]>([
    ['nothing at all', [], /it is empty/],
    ['a text that ends early', [0xa5, 0x61], /ends in the middle/],
    [
      'an array that declares 4 billion members',
      [0xdd, 0xff, 0xff, 0xff, 0xff],
      /declares 4294967295 members where 0 bytes/,
    ],
    ['a map that declares 4 billion members', [0xdf, 0xff, 0xff, 0xff, 0xff, 0xc0], /declares 4294967295 members/],
    ['a text that declares 4 billion bytes', [0xdb, 0xff, 0xff, 0xff, 0xff], /ends in the middle/],
    ['nested lengths that add up', Array(40).fill([0xdc, 0x00, 0x01]).flat(), /nested deeper than 32/],
    ['a map with a number as key', [0x81, 0x01, 0x01], /key at byte 1 is not a string/],
    ['a map with a map as key', [0x81, 0x80, 0x01], /key at byte 1 is not a string/],
    ['an extension', [0xd4, 0x72, 0x40], /0xd4 at 0 begins a type that the wire does not use/],
    ['binary data', [0xc4, 0x01, 0x00], /0xc4 at 0/],
    ['the byte that msgpack never uses', [0xc1], /0xc1 at 0/],
    ['a second value after the first', [0xc0, 0xc0], /1 bytes follow its value/],
  ])('%s', (_what, bytes, reason) => {
    expect(decodeUp(Uint8Array.from(bytes))).toEqual({
      ok: false,
      code: 'not-msgpack',
      reason: expect.stringMatching(reason),
    })
  })

  test('a key named __proto__ changes no prototype and is refused, whatever the width of its header', () => {
    const key = [...Buffer.from('__proto__')]
    for (const header of [[0xa9], [0xd9, 9], [0xda, 0, 9], [0xdb, 0, 0, 0, 9]]) {
      const frame = Uint8Array.from([0x81, ...header, ...key, 0x81, 0xa1, 0x78, 0x01])
      expect(decodeUp(frame)).toMatchObject({ ok: false, code: 'not-msgpack', reason: /__proto__/ })
    }
    expect('x' in {}).toBe(false)
  })

  test('a value or a longer key that ends in __proto__ is nobody’s harm', () => {
    expect(decodeUp(encode({ ...notice, message: '__proto__' })).ok).toBe(true)
    expect(decodeUp(plain.pack({ ...notice, my__proto__: 1 })).ok).toBe(true)
  })

  test('a depth bomb of a million arrays is refused', () => {
    const bomb = new Uint8Array(1_000_000).fill(0x91)
    expect(decodeUp(bomb)).toMatchObject({
      ok: false,
      reason: expect.stringContaining(`deeper than ${FRAME_DEPTH_MAX}`),
    })
  })

  test('a frame of millions of tiny values is refused before they are built', () => {
    const bomb = new Uint8Array(FRAME_BYTES_MAX).fill(0x90)
    bomb.set([0xdd, 0x00, 0xff, 0xff, 0xfb])
    const heapBefore = process.memoryUsage().heapUsed
    expect(decodeUp(bomb)).toMatchObject({
      ok: false,
      reason: expect.stringContaining(`more than ${FRAME_VALUES_MAX} values`),
    })
    expect(process.memoryUsage().heapUsed - heapBefore).toBeLessThan(32 * 1024 * 1024)
  })

  test('a frame over the limit is refused unread, and not sent', () => {
    expect(decodeUp(new Uint8Array(FRAME_BYTES_MAX + 1))).toMatchObject({ ok: false, code: 'too-large' })
    const text = 'z'.repeat(1_000_000)
    const lines = Array.from({ length: 17 }, () => ({ task: 't', at: 1, source: 'stdout' as const, text }))
    expect(() => encode({ kind: 'log-lines', stream: 's', lines, dropped: 0 })).toThrow(
      expect.objectContaining({ code: 'too-large' }),
    )
  })
})

describe('no bytes make the door throw', () => {
  test('random bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
        for (const decoded of [decodeUp(bytes), decodeDown(bytes)])
          expect(decoded.ok || decoded.reason.length > 0).toBe(true)
      }),
      { numRuns: 3000 },
    )
  })

  test('good frames with some bytes changed, removed or doubled', () => {
    const harm = fc.array(
      fc.record({ at: fc.nat(), byte: fc.nat(255), how: fc.constantFrom('set', 'cut', 'double') }),
      {
        minLength: 1,
        maxLength: 4,
      },
    )
    fc.assert(
      fc.property(upMessage, harm, (message, harms) => {
        const bytes = harms.reduce(harmed, Buffer.from(encode(message)))
        const decoded = decodeUp(bytes)
        expect(decoded.ok || decoded.reason.length < 700).toBe(true)
      }),
      { numRuns: 2000 },
    )
    expect(Object.keys(Object.prototype)).toEqual([])
  })
})

function harmed(
  bytes: Buffer<ArrayBuffer>,
  { at, byte, how }: { at: number; byte: number; how: string },
): Buffer<ArrayBuffer> {
  if (bytes.length === 0) return bytes
  const place = at % bytes.length
  if (how === 'cut') return bytes.subarray(0, place)
  if (how === 'double') return Buffer.concat([bytes.subarray(0, place), bytes])
  const copy = Buffer.from(bytes)
  copy[place] = byte
  return copy
}
