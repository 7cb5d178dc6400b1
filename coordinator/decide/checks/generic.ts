import { genericNeed } from '../generic-need.ts'
import type { Check } from './check.ts'

/** Each countable thing, as a GPU, is promised to as many tasks as there are of it; a node that was said to have none has none. */
export const generic: Check = ({ version }, { node, room, genericPromised }) => {
  for (const [resource, wanted] of genericNeed(version.spec.task.container)) {
    const total = room.generic[resource] ?? 0
    const free = Math.max(0, total - (genericPromised.get(resource) ?? 0))
    // All of a node: whatever is promised there already is missing, and of nothing there is no all.
    const needed = wanted === 'all' ? Math.max(1, total) : wanted
    if (needed > free) return { node: node.name, check: 'generic', figures: { resource, needed, free, has: total } }
  }
  return null
}
