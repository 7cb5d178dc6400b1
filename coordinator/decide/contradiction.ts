/** Whether constraints can be met together by any node that there could ever be. */
import { numberIn } from '../../shared/constraint.ts'
import type { Constraint } from '../../shared/spec.ts'
import { meets, NODE_ROLE } from './checks/constraint.ts'

/** The fewest of them that no node could meet (one alone, two, or all of one attribute); null: there may be such a node. */
export function contradictionOf(constraints: readonly Constraint[]): readonly Constraint[] | null {
  for (const group of Map.groupBy(constraints, ({ attribute }) => attribute).values()) {
    if (isPossible(group)) continue
    const one = group.find((constraint) => !isPossible([constraint]))
    if (one) return [one]
    for (const [index, a] of group.entries()) {
      const b = group.slice(index + 1).find((other) => !isPossible([a, other]))
      if (b) return [a, b]
    }
    return group
  }
  return null
}

/** All of one attribute. */
function isPossible(group: readonly Constraint[]): boolean {
  if (!isAlwaysThere(group[0]!.attribute) && fits(group, null)) return true
  const values = valuesOf(group)
  if (values) return values.some((value) => fits(group, value))
  return group.every(({ operator }) => operator !== 'not-exists') && hasRoomBetween(group)
}

function fits(group: readonly Constraint[], value: string | null): boolean {
  return group.every((constraint) => meets(constraint, value))
}

function isAlwaysThere(attribute: string): boolean {
  return !/^(node|engine)\.labels\./.test(attribute)
}

/** The only values that come into question; null: any. */
function valuesOf(group: readonly Constraint[]): readonly string[] | null {
  if (group[0]!.attribute === 'node.role') return [NODE_ROLE]
  const named = group.find(({ operator }) => operator === '==' || operator === 'in')
  return named ? (named.values ?? [named.value]) : null
}

/** Whether a number lies within all bounds. One that is excluded by its text could be written otherwise. */
function hasRoomBetween(group: readonly Constraint[]): boolean {
  const bounds = (...operators: Constraint['operator'][]) =>
    group.filter(({ operator }) => operators.includes(operator)).map(({ value }) => numberIn(value) ?? Number.NaN)
  const low = Math.max(...bounds('>', '>='))
  const high = Math.min(...bounds('<', '<='))
  return low < high || (low === high && !bounds('<', '>').includes(low))
}
