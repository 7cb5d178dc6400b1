import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createLoadMeter } from '../../../agent/host/load-meter.ts'
import { decodeUp, decodeUpInFull, encode } from '../../../shared/wire/codec.ts'
import { readHeartbeat } from '../../../shared/wire/read-heartbeat.ts'
import { Heartbeat, type Heartbeat as HeartbeatMessage } from '../../../shared/wire/up.ts'
import { arbitraryOf } from './arbitrary-of-schema.ts'

const heartbeat = arbitraryOf(Heartbeat) as fc.Arbitrary<HeartbeatMessage>

const typical: HeartbeatMessage = {
  kind: 'heartbeat',
  sequence: 70_000,
  at: 1_790_000_000_123.5,
  revision: 300,
  load: {
    networkSendBytesPerSecond: 1e9,
    networkReceiveBytesPerSecond: 0,
    cpuCoresUsed: 0.25,
    memoryBytesUsed: 2 ** 33,
    memoryBytesTotal: 2 ** 34,
    loadAverage1m: 200,
    diskBytesUsed: 65_536,
    diskBytesTotal: 2 ** 40,
    diskReadBytesPerSecond: 1,
    diskWriteBytesPerSecond: 127,
    pressure: { cpuSome: 1, memorySome: 2, memoryFull: 3, ioSome: 4, ioFull: 5 },
    detail: {
      cpuCoresUser: 1.5,
      cpuCoresSystem: 0.25,
      cpuCoresIowait: 0,
      cpuCoresSteal: 0,
      loadAverage5m: 3,
      loadAverage15m: 2.75,
      swapBytesUsed: 0,
      swapBytesTotal: 2 ** 31,
      uptimeSeconds: 86_400.5,
    },
  },
  containers: Array.from({ length: 20 }, (_, index) => ({
    task: `shop_web.${index}.${'x'.repeat(index * 3)}`,
    cpuCoresUsed: index / 10,
    memoryBytesUsed: 1_000_000 * index,
    ...(index % 2 === 0 && { processes: index, cpuThrottledShare: 0.5 }),
    ...(index % 4 === 0 && { blockReadBytesPerSecond: 4096, blockWriteBytesPerSecond: 0.5, oomKills: 2 }),
    ...(index % 3 === 0 && { memoryBytesLimit: 2 ** 32 }),
    ...(index % 4 === 0 && { sampledEveryMs: 10_000, sampledBecause: 'calm' as const }),
    ...(index % 3 === 0 && { healthCheckMs: 12 + index * 200 }),
    ...(index % 5 === 0 && { sampledWantedMs: 1000 }),
  })),
}

test('a heartbeat of a real host is read the short way', () => {
  const meter = createLoadMeter()
  const message = { kind: 'heartbeat' as const, sequence: 1, at: Date.now(), revision: 0, ...meter.sample([]) }
  meter.close()
  expect(readHeartbeat(encode(message))).toEqual(message)
  expect(readHeartbeat(encode(typical))).toEqual(typical)
})

test('what the short way reads is what the general way reads', () => {
  fc.assert(
    fc.property(heartbeat, (message) => {
      const bytes = encode(message)
      const read = readHeartbeat(bytes)
      if (read !== null) expect({ ok: true, message: read }).toEqual(decodeUpInFull(bytes))
      expect(decodeUp(bytes)).toEqual(decodeUpInFull(bytes))
    }),
    { numRuns: 500 },
  )
})

test('a frame that was cut, lengthened or changed anywhere is judged as the general way judges it', () => {
  const whole = encode(typical)
  const byte = fc.integer({ min: 0, max: 255 })
  fc.assert(
    fc.property(
      fc.nat(whole.length - 1),
      byte,
      fc.nat(whole.length),
      fc.array(byte, { maxLength: 3 }),
      (at, to, length, more) => {
        const changed = Buffer.from(whole)
        changed[at] = to
        for (const bytes of [
          changed,
          Buffer.from(whole.subarray(0, length)),
          Buffer.concat([whole, Buffer.from(more)]),
        ]) {
          expect(decodeUp(bytes)).toEqual(decodeUpInFull(bytes))
        }
      },
    ),
    { numRuns: 2_000 },
  )
})

test.each<[string, unknown]>([
  ['a member of a newer version', { ...typical, mood: 1 }],
  ['a member twice', Buffer.concat([encode(typical).subarray(0, 16), Buffer.from('\xa2at\x01\xa2at\x01', 'latin1')])],
  ['an id that is not ASCII', { ...typical, containers: [{ task: 'ü', cpuCoresUsed: 0, memoryBytesUsed: 0 }] }],
  ['a negative amount', { ...typical, load: { ...typical.load, cpuCoresUsed: -1 } }],
  ['a sequence that is no whole number', { ...typical, sequence: 0.5 }],
  ['a missing member', { ...typical, load: { ...typical.load, loadAverage1m: undefined } }],
  ['another message', { kind: 'goodbye', reason: 'heartbeat' }],
])('%s is left to the general way', (_what, message) => {
  const bytes = message instanceof Uint8Array ? message : encode(message as HeartbeatMessage)
  expect(readHeartbeat(bytes)).toBeNull()
})
