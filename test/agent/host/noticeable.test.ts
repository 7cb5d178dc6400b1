import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isNoticeable, isToBeNamed, NAMED_EVERY_SAMPLES } from '../../../agent/host/noticeable.ts'
import type { ContainerLoad } from '../../../shared/load.ts'

const MiB = 1024 * 1024
const aLoad = (given: Partial<ContainerLoad> = {}): ContainerLoad => ({
  task: 't',
  cpuCoresUsed: 1,
  memoryBytesUsed: 100 * MiB,
  ...given,
})

describe('a heartbeat names a container', () => {
  test('at once when it is new', () => {
    expect(isToBeNamed(undefined, aLoad(), 0)).toBe(true)
  })

  test('not again while its load stays the same, but at least every 30 samples', () => {
    const named = { load: aLoad(), sample: 10 }
    expect(isToBeNamed(named, aLoad(), 10 + NAMED_EVERY_SAMPLES - 1)).toBe(false)
    expect(isToBeNamed(named, aLoad(), 10 + NAMED_EVERY_SAMPLES)).toBe(true)
  })

  test.each<[string, Partial<ContainerLoad>, Partial<ContainerLoad>, boolean]>([
    ['CPU by 0.1 core of 1', {}, { cpuCoresUsed: 1.1 }, true],
    ['CPU by 0.09 core of 1, which is under a tenth', {}, { cpuCoresUsed: 1.09 }, false],
    ['CPU from idle to 0.02 core', { cpuCoresUsed: 0 }, { cpuCoresUsed: 0.02 }, true],
    ['CPU doubled, but from next to nothing', { cpuCoresUsed: 0.001 }, { cpuCoresUsed: 0.002 }, false],
    ['memory by 2 MiB of 100', {}, { memoryBytesUsed: 102 * MiB }, true],
    ['memory by 1 MiB of 100, which is under 2 %', {}, { memoryBytesUsed: 101 * MiB }, false],
    ['memory doubled, but of 100 KiB', { memoryBytesUsed: 100_000 }, { memoryBytesUsed: 200_000 }, false],
    ['a limit that is new', {}, { memoryBytesLimit: 200 * MiB }, true],
    ['throttling that begins', { cpuThrottledShare: 0 }, { cpuThrottledShare: 0.2 }, true],
    ['a figure that was not there before', {}, { processes: 1 }, true],
    ['one process more among 20', { processes: 20 }, { processes: 21 }, false],
  ])('%s: %#', (_what, before, now, named) => {
    expect(isNoticeable(aLoad(before), aLoad({ ...before, ...now }))).toBe(named)
  })

  test('never for a load equal to the one before, and both ways alike for what appears or goes', () => {
    const load = fc.record({
      cpuCoresUsed: fc.double({ min: 0, max: 64, noNaN: true }),
      memoryBytesUsed: fc.nat(2 ** 31),
      processes: fc.option(fc.nat(1000), { nil: undefined }),
    })
    fc.assert(
      fc.property(load, load, (a, b) => {
        expect(isNoticeable(aLoad(a), aLoad(a))).toBe(false)
        if ((a.processes === undefined) !== (b.processes === undefined)) {
          expect(isNoticeable(aLoad(a), aLoad(b))).toBe(true)
        }
      }),
    )
  })

  test('a load that creeps up unseen is never further from what was said than the threshold', () => {
    let named = { load: aLoad({ cpuCoresUsed: 0 }), sample: 0 }
    for (let sample = 1; sample < 500; sample++) {
      const load = aLoad({ cpuCoresUsed: sample * 0.005 })
      if (isToBeNamed(named, load, sample)) named = { load, sample }
      const error = Math.abs(load.cpuCoresUsed - named.load.cpuCoresUsed)
      expect(error).toBeLessThan(Math.max(0.02, 0.1 * named.load.cpuCoresUsed) + 1e-9)
    }
  })
})
