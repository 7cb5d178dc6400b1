import { taintText } from '../../../shared/taint.ts'
import { untolerated } from '../taints.ts'
import type { Check } from './check.ts'

/** A tainted node takes only tasks that tolerate it. */
export const taint: Check = ({ version }, { node }) => {
  const found = untolerated(node.taints, version.spec.placement, ['no-schedule', 'no-execute'])
  return found ? { node: node.name, check: 'taint', figures: { taint: taintText(found) } } : null
}

/** The same for tasks that are there already: only `no-execute` moves them. */
export const expelled: Check = ({ version }, { node }) => {
  const found = untolerated(node.taints, version.spec.placement, ['no-execute'])
  return found ? { node: node.name, check: 'taint', figures: { taint: taintText(found) } } : null
}
