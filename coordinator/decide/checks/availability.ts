import type { Check } from './check.ts'

/** A drained node takes nothing new. */
export const availability: Check = (_request, { node }) =>
  node.availability === 'active'
    ? null
    : { node: node.name, check: 'availability', figures: { availability: node.availability } }
