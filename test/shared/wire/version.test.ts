import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { agreeOnVersion } from '../../../shared/wire/version.ts'

describe('two sides agree on a wire version', () => {
  test('equal sides speak what they both speak', () => {
    expect(agreeOnVersion({ version: 3, versionMin: 2 }, { version: 3, versionMin: 2 })).toEqual({
      ok: true,
      version: 3,
    })
  })

  test('sides one version apart speak the older one', () => {
    expect(agreeOnVersion({ version: 4, versionMin: 3 }, { version: 3, versionMin: 2 })).toEqual({
      ok: true,
      version: 3,
    })
    expect(agreeOnVersion({ version: 3, versionMin: 2 }, { version: 4, versionMin: 3 })).toEqual({
      ok: true,
      version: 3,
    })
  })

  test('an agent left too far behind is told to be upgraded', () => {
    expect(agreeOnVersion({ version: 4, versionMin: 3 }, { who: 'agent web-1', version: 2, versionMin: 1 })).toEqual({
      ok: false,
      code: 'version-mismatch',
      upgrade: 'theirs',
      reason:
        'the coordinator speaks wire versions 3 to 4, the agent web-1 speaks versions 1 to 2; upgrade the agent web-1',
    })
  })

  test('a coordinator left behind is the one to upgrade', () => {
    expect(agreeOnVersion({ version: 1, versionMin: 1 }, { version: 3, versionMin: 2 })).toEqual({
      ok: false,
      code: 'version-mismatch',
      upgrade: 'mine',
      reason: 'the coordinator speaks wire version 1, the agent speaks versions 2 to 3; upgrade the coordinator',
    })
  })

  test('a range that is upside down is refused', () => {
    expect(agreeOnVersion({ version: 1, versionMin: 1 }, { version: 1, versionMin: 2 })).toMatchObject({
      ok: false,
      upgrade: 'theirs',
    })
  })

  test('both sides come to the same answer, and it is one that both speak', () => {
    const range = fc
      .tuple(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 0, max: 3 }))
      .map(([versionMin, more]) => ({ versionMin, version: versionMin + more }))
    fc.assert(
      fc.property(range, range, (a, b) => {
        const here = agreeOnVersion(a, b)
        const there = agreeOnVersion(b, a)
        expect(here.ok).toBe(there.ok)
        if (here.ok && there.ok) {
          expect(here.version).toBe(there.version)
          for (const side of [a, b]) expect(here.version >= side.versionMin && here.version <= side.version).toBe(true)
        } else if (!here.ok && !there.ok) expect(here.upgrade).not.toBe(there.upgrade)
      }),
    )
  })
})
