import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseBytes, parseDurationMs } from '../../../shared/compose/units.ts'

describe('sizes', () => {
  it.each([
    ['0', 0],
    ['1024', 1024],
    ['64b', 64],
    ['64k', 65_536],
    ['64KB', 65_536],
    ['512M', 536_870_912],
    ['2g', 2_147_483_648],
    ['2GiB', 2_147_483_648],
    ['1.5G', 1_610_612_736],
    ['1t', 1_099_511_627_776],
    [' 10 mb ', 10_485_760],
  ])('%s is %d bytes', (text, bytes) => expect(parseBytes(text)).toBe(bytes))

  it.each(['', '2GBB', 'M', '-1', '1..5G', '1e9', '5 apples', '99999999999p'])('"%s" is not a size', (text) =>
    expect(parseBytes(text)).toBeUndefined(),
  )
})

describe('durations', () => {
  it.each([
    ['0', 0],
    ['10s', 10_000],
    ['1m30s', 90_000],
    ['1h5m30s20ms', 3_930_020],
    ['1.5h', 5_400_000],
    ['500ms', 500],
    ['0.1s', 100],
    ['2d', 172_800_000],
    ['100us', 1],
  ])('%s is %d ms', (text, ms) => expect(parseDurationMs(text)).toBe(ms))

  it.each(['', '10', '10 s', 's', '-5s', '1m 30s', 'ten'])('"%s" is not a duration', (text) =>
    expect(parseDurationMs(text)).toBeUndefined(),
  )

  it('adds up whatever parts it is written in', () => {
    fc.assert(
      fc.property(fc.nat(1000), fc.nat(1000), fc.nat(1000), (hours, minutes, seconds) => {
        const ms = hours * 3_600_000 + minutes * 60_000 + seconds * 1000
        expect(parseDurationMs(`${hours}h${minutes}m${seconds}s`)).toBe(ms)
      }),
    )
  })
})
