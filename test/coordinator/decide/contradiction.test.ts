import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { meets } from '../../../coordinator/decide/checks/constraint.ts'
import { contradictionOf } from '../../../coordinator/decide/contradiction.ts'
import { constraintText, parseConstraint } from '../../../shared/constraint.ts'
import { CONSTRAINT_OPERATORS, type Constraint } from '../../../shared/spec.ts'

function contradiction(...texts: string[]): string[] | null {
  const constraints = texts.map((text) => {
    const read = parseConstraint(text)
    if (!read.ok) throw new Error(read.why)
    return read.constraint
  })
  return contradictionOf(constraints)?.map(constraintText) ?? null
}

describe('no node can meet', () => {
  test.each<[string, string]>([
    ['node.labels.a == x', 'node.labels.a == y'],
    ['node.labels.a == x', 'node.labels.a != x'],
    ['node.labels.a == x', 'node.labels.a in y, z'],
    ['node.labels.a in x, y', 'node.labels.a in z'],
    ['node.labels.a in x, y', 'node.labels.a not in y, x'],
    ['node.labels.a exists', 'node.labels.a not exists'],
    ['node.labels.a == x', 'node.labels.a not exists'],
    ['node.labels.a > 5', 'node.labels.a not exists'],
    ['node.labels.a > 5', 'node.labels.a < 3'],
    ['node.labels.a > 5', 'node.labels.a <= 5'],
    ['node.labels.a == 4', 'node.labels.a >= 5'],
    ['node.labels.a == x', 'node.labels.a >= 5'],
    ['node.platform.arch == x86_64', 'node.platform.arch == arm64'],
  ])('%s and %s', (a, b) => {
    expect(contradiction(a, b)).toEqual([a, b])
    expect(contradiction('node.labels.b == x', b, 'node.labels.c exists', a)).toEqual([b, a])
  })

  test('one that asks for what no node ever is', () => {
    expect(contradiction('node.labels.a == x', 'node.role == manager')).toEqual(['node.role == manager'])
    expect(contradiction('node.name not exists')).toEqual(['node.name not exists'])
    expect(contradiction('node.role == worker', 'node.role != manager')).toBe(null)
  })

  test('three that only together leave nothing', () => {
    const three = ['node.labels.a in x, y', 'node.labels.a != x', 'node.labels.a != y']
    expect(contradiction(...three)).toEqual(three)
  })
})

test('what some node could meet is none, also without the label', () => {
  expect(contradiction('node.labels.a != x', 'node.labels.a not exists', 'node.labels.a not in y')).toBe(null)
  expect(contradiction('node.labels.a >= 5', 'node.labels.a <= 5')).toBe(null)
  expect(contradiction('node.labels.a > 5', 'node.labels.a < 5.5', 'node.labels.a != 5.2')).toBe(null)
  expect(contradiction('node.labels.a == x', 'node.labels.b == y')).toBe(null)
  expect(contradiction('node.platform.arch == x86_64', 'node.platform.arch == amd64')).toBe(null)
  expect(contradiction()).toBe(null)
})

test('is said exactly when no value, and no label at all, meets all', () => {
  const values = ['x', 'y', '1', '2', '3', '2.5']
  // Also the same numbers written otherwise, those between and beyond them, and a text that no constraint names.
  const domain = [null, ...values, '1.0', '2.0', '2.50', '3.0', '0', '1.5', '2.2', '2.7', '9', 'other']
  const constraint = fc.record({
    attribute: fc.constant('node.labels.a'),
    operator: fc.constantFrom(...CONSTRAINT_OPERATORS),
    value: fc.constantFrom(...values),
    values: fc.uniqueArray(fc.constantFrom(...values), { minLength: 1, maxLength: 3 }),
  })
  fc.assert(
    fc.property(fc.array(constraint, { maxLength: 4 }), (given) => {
      const constraints: Constraint[] = given
        .map(({ values: several, ...each }) => (/in$/.test(each.operator) ? { ...each, values: several } : each))
        .filter(({ operator, value }) => !/[<>]/.test(operator) || /^[0-9.]+$/.test(value))
      const isPossible = domain.some((value) => constraints.every((each) => meets(each, value)))
      expect(contradictionOf(constraints) === null).toBe(isPossible)
    }),
    { numRuns: 2_000 },
  )
})
