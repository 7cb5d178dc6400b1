import { interpolate, type Lookup } from './interpolate.ts'
import type { ReadSession } from './session.ts'
import { joinPath, type MapNode, mapMembers, type Node } from './tree.ts'

/** Replaces variables in every text value (not in keys), as Compose does before it looks at what the values mean. */
export function interpolateTree(tree: MapNode, lookup: Lookup, session: ReadSession): MapNode {
  const visit = (node: Node, path: string): Node => {
    if (node.kind === 'map') return mapMembers(node, (value, key) => visit(value, joinPath(path, key)))
    if (node.kind === 'list')
      return { ...node, items: node.items.map((item, index) => visit(item, `${path}[${index}]`)) }
    if (typeof node.value !== 'string' || !node.value.includes('$')) return node
    const result = interpolate(node.value, lookup)
    for (const name of result.unset) session.warnOfUnset(name, node.place, path)
    for (const problem of result.problems) session.findings.error(node.place, path, problem)
    return { ...node, value: result.text, text: result.text, ...(result.problems.length > 0 && { isFaulty: true }) }
  }
  return mapMembers(tree, (value, key) => visit(value, key))
}
