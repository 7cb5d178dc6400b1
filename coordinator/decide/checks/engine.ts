import type { Check } from './check.ts'

/** A node whose Engine is away can start nothing. */
export const engine: Check = (_request, { node }) => {
  if (node.status.name === 'engine-down') {
    return { node: node.name, check: 'engine', figures: { state: 'down', message: node.status.why } }
  }
  if (node.engine?.state !== 'down') return null
  return { node: node.name, check: 'engine', figures: { state: 'down', message: node.engine.message ?? null } }
}
