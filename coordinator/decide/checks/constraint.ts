import { canonicalArch } from '../../../shared/arch.ts'
import { numberIn } from '../../../shared/constraint.ts'
import type { Constraint } from '../../../shared/spec.ts'
import type { Node } from '../../world.ts'
import type { Check } from './check.ts'

/** Each constraint of the spec's placement, over the node's attributes and labels; the first that fails is named. */
export const constraint: Check = ({ version }, { node }) => {
  const unmet = unmetConstraint(node, version.spec.placement.constraints)
  if (!unmet) return null
  const { attribute, operator, values } = unmet
  const value = values ? values.join(', ') : unmet.value
  return {
    node: node.name,
    check: 'constraint',
    figures: { attribute, operator, value, has: attributeOf(node, attribute) },
  }
}

export function unmetConstraint(node: Node, constraints: readonly Constraint[]): Constraint | null {
  return constraints.find((wanted) => !meets(wanted, attributeOf(node, wanted.attribute))) ?? null
}

/** Whether an attribute of this value (null: the node does not have it) is what the constraint wants. */
export function meets({ attribute, operator, value, values = [] }: Constraint, has: string | null): boolean {
  const is = (wanted: string) => has !== null && canonical(attribute, has) === canonical(attribute, wanted)
  switch (operator) {
    case '==':
      return is(value)
    case '!=':
      return !is(value)
    case 'in':
      return values.some(is)
    case 'not-in':
      return !values.some(is)
    case 'exists':
      return has !== null
    case 'not-exists':
      return has === null
    default:
      return has !== null && compares(numberIn(has), operator, numberIn(value))
  }
}

/** What is not a number is neither less nor more than any. */
function compares(has: number | null, operator: '<' | '<=' | '>' | '>=', value: number | null): boolean {
  if (has === null || value === null) return false
  if (operator === '<') return has < value
  if (operator === '<=') return has <= value
  return operator === '>' ? has > value : has >= value
}

/** Values that mean the same have one form. */
export function canonical(attribute: string, value: string): string {
  return attribute === 'node.platform.arch' ? canonicalArch(value) : value
}

/** Of every node. */
export const NODE_ROLE = 'worker'

/** Null: the node has no such attribute or label. Every node is a worker: the coordinator is a process, not a role. */
export function attributeOf(node: Node, attribute: string): string | null {
  switch (attribute) {
    case 'node.hostname':
      return node.inventory?.hostname ?? node.name
    case 'node.id':
    case 'node.name':
      return node.name
    case 'node.role':
      return NODE_ROLE
    case 'node.platform.os':
      return node.inventory?.os ?? null
    case 'node.platform.arch':
      return node.inventory?.arch ?? null
  }
  if (attribute.startsWith(NODE_LABEL)) {
    const label = attribute.slice(NODE_LABEL.length)
    return node.operatorLabels[label] ?? node.agentLabels[label] ?? null
  }
  if (attribute.startsWith(ENGINE_LABEL)) {
    return node.inventory?.engineLabels[attribute.slice(ENGINE_LABEL.length)] ?? null
  }
  return null
}

const NODE_LABEL = 'node.labels.'
const ENGINE_LABEL = 'engine.labels.'
