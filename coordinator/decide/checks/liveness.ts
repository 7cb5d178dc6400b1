import type { Check } from './check.ts'

/** Only a node that is with us gets tasks. */
export const liveness: Check = (_request, { node }) => {
  if (node.status.name === 'ready' && node.connection) return null
  // A down Engine has its own check, which says more.
  if (node.status.name === 'engine-down') return null
  const status = node.status.name === 'ready' ? 'not heard of since the coordinator started' : node.status.name
  return { node: node.name, check: 'liveness', figures: { status } }
}
