/** How a later Compose file changes what an earlier one said (the specification's "Merge and override"). */
import type { Findings } from './findings.ts'
import { asKeyedMap, asList, identityOf, ruleFor } from './merge-rules.ts'
import { type Entry, emptyMap, isNull, joinPath, type ListNode, type MapNode, type Node } from './tree.ts'

export type MergeOptions = {
  findings: Findings
  /**
   * `extends` is resolved before files are merged. There `!reset` and `!override` must also stay written, because they
   * speak about the earlier files as well as about the extended service.
   */
  keepTags?: boolean
}

/** `over` merged into `base`; neither is changed. Tags are obeyed and, without `keepTags`, gone afterwards. */
export function mergeMaps(base: MapNode, over: MapNode, options: MergeOptions, path = ''): MapNode {
  const entries = new Map(base.entries)
  for (const [key, entry] of over.entries) {
    const memberPath = joinPath(path, key)
    const before = entries.get(key)
    const value = mergeEntry(before, entry, options, memberPath)
    if (value === undefined) entries.delete(key)
    else entries.set(key, { keyPlace: entry.keyPlace, value })
  }
  return { ...base, entries, place: over.place }
}

function mergeEntry(before: Entry | undefined, entry: Entry, options: MergeOptions, path: string): Node | undefined {
  const { value } = entry
  if (value.tag === 'reset') return options.keepTags ? value : undefined
  if (value.tag === 'override' || before === undefined) return settle(value, options, path)
  return mergeNodes(before.value, value, options, path)
}

/** A value with nothing to merge into; tags inside it are obeyed all the same. */
function settle(node: Node, options: MergeOptions, path: string): Node {
  if (options.keepTags) return node
  const { tag: _, ...plain } = node
  if (plain.kind === 'map') return mergeMaps(emptyMap(plain.place), plain, options, path)
  if (plain.kind === 'list') return { ...plain, items: plain.items.filter((item) => item.tag !== 'reset') }
  return plain
}

function mergeNodes(base: Node, over: Node, options: MergeOptions, path: string): Node {
  const rule = ruleFor(path)
  if (rule === 'replace') return settle(over, options, path)
  if (isNull(base)) return settle(over, options, path)
  if (isNull(over)) return over.kind === base.kind ? over : base
  if (rule === 'keyed') {
    const [baseMap, overMap] = [asKeyedMap(base, path), asKeyedMap(over, path)]
    if (baseMap && overMap) return mergeMaps(baseMap, overMap, options, path)
  }
  if (rule === 'logging' && !sameDriver(base, over)) return settle(over, options, path)
  if (rule === 'one-or-many') return mergeLists(asList(base), asList(over), path)
  if (base.kind === 'map' && over.kind === 'map') return mergeMaps(base, over, options, path)
  if (base.kind === 'list' && over.kind === 'list') return mergeLists(base, over, path)
  if (base.kind !== over.kind && rule !== 'loose') {
    const said = `${base.place.file}:${base.place.line}`
    options.findings.error(
      over.place,
      path,
      `is a ${kindWord(over)} here and a ${kindWord(base)} at ${said}; the two cannot be merged`,
    )
  }
  return settle(over, options, path)
}

/** Appends; an item that means the same thing as an earlier one (same port, same target) takes its place. */
function mergeLists(base: ListNode, over: ListNode, path: string): ListNode {
  const items: Node[] = []
  const positions = new Map<string, number>()
  for (const item of [...base.items, ...over.items]) {
    if (item.tag === 'reset') continue
    const identity = identityOf(item, path)
    const position = identity === undefined ? undefined : positions.get(identity)
    if (position !== undefined) {
      items[position] = item
      continue
    }
    if (identity !== undefined) positions.set(identity, items.length)
    items.push(item)
  }
  return { ...base, items, place: over.place }
}

function sameDriver(base: Node, over: Node): boolean {
  const driver = (node: Node) => (node.kind === 'map' ? node.entries.get('driver')?.value : undefined)
  const [a, b] = [driver(base), driver(over)]
  return !a || !b || (a.kind === 'scalar' && b.kind === 'scalar' && a.value === b.value)
}

function kindWord(node: Node): string {
  return node.kind === 'map' ? 'mapping' : node.kind === 'list' ? 'list' : 'single value'
}
