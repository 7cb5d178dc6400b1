/** Which of a node's taints a service does not put up with. */
import type { Placement, Taint, TaintEffect, Toleration } from '../../shared/spec.ts'

/** The first one of these effects that no toleration covers; null: none. */
export function untolerated(
  taints: readonly Taint[],
  { tolerations = [] }: Pick<Placement, 'tolerations'>,
  effects: readonly TaintEffect[],
): Taint | null {
  for (const taint of taints) {
    if (effects.includes(taint.effect) && !tolerations.some((each) => tolerates(each, taint))) return taint
  }
  return null
}

export function tolerates({ key, operator, value, effect }: Toleration, taint: Taint): boolean {
  if (key !== taint.key || (effect !== undefined && effect !== taint.effect)) return false
  return operator === 'exists' || (value ?? '') === taint.value
}
