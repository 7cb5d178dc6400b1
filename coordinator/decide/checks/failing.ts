import type { Check } from './check.ts'

/** A node that keeps failing tasks of the version gets none for a while (decide/failing.ts says when, and for how long). */
export const failing: Check = ({ version }, { node }) => {
  const given = version.failing?.nodes.find((each) => each.node === node.name)
  if (!given) return null
  return { node: node.name, check: 'failing', figures: { failures: given.failures, until: given.until } }
}
