import type { Check } from './check.ts'

/** `max_replicas_per_node`: counts the service's tasks whose containers are not gone, whatever their version. */
export const maxPerNode: Check = ({ service, version }, { node, tasksByService }) => {
  const max = version.spec.placement.maxPerNode
  if (max === undefined) return null
  const has = tasksByService.get(service.name) ?? 0
  return has < max ? null : { node: node.name, check: 'max-per-node', figures: { max, has } }
}
