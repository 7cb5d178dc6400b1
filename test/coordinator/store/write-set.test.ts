import fc from 'fast-check'
import { expect, test } from 'vitest'
import { keyText } from '../../../coordinator/store/keys.ts'
import type { Write } from '../../../coordinator/store/store.ts'
import { WriteSet } from '../../../coordinator/store/write-set.ts'

test('a set of writes holds what a map by the texts of their keys would', () => {
  const part = fc.oneof(fc.constantFrom('a', 'b', '', '1', 'ab'), fc.integer({ min: 0, max: 3 }))
  const key = fc.array(part, { minLength: 1, maxLength: 3 })
  const act = fc.record({ key, kind: fc.constantFrom('put', 'delete', 'drop'), value: fc.nat(5) })
  fc.assert(
    fc.property(fc.array(act, { maxLength: 40 }), (acts) => {
      const set = new WriteSet()
      const model = new Map<string, Write>()
      for (const { key, kind, value } of acts) {
        const write: Write = kind === 'delete' ? { key, delete: true } : { key, value }
        if (kind === 'drop') {
          expect(set.drop(key)).toBe(model.delete(keyText(key)))
          continue
        }
        set.add(write)
        model.set(keyText(key), write)
      }
      expect(set.size).toBe(model.size)
      const sorted = (writes: Iterable<Write>) => [...writes].map((write) => JSON.stringify(write)).sort()
      expect(sorted(set)).toEqual(sorted(model.values()))
    }),
  )
})
