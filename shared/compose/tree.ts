/**
 * YAML's values with the place of each. Merging, `extends` and `include` move these nodes about without copying them, so
 * a finding about the merged whole still points at the line that the value was written on.
 */
import type { Place } from './findings.ts'

/** Compose's tags for merging: remove what the earlier file said; replace it instead of merging. */
export type Tag = 'reset' | 'override'
/** `text` is the scalar as written, without quotes: `1.10` stays `1.10` where a string is wanted. */
export type ScalarNode = {
  kind: 'scalar'
  value: string | number | boolean | null
  text: string
  place: Place
  tag?: Tag
  /** It was found wrong before anybody read what it means: whatever else it is not would only follow from that. */
  isFaulty?: true
}
export type ListNode = { kind: 'list'; items: Node[]; place: Place; tag?: Tag }
export type MapNode = { kind: 'map'; entries: Map<string, Entry>; place: Place; tag?: Tag }
export type Entry = { keyPlace: Place; value: Node }
export type Node = ScalarNode | ListNode | MapNode

export const NOWHERE: Place = { file: '', line: 0, column: 0 }

export function emptyMap(place: Place = NOWHERE): MapNode {
  return { kind: 'map', entries: new Map(), place }
}

export function textNode(text: string, place: Place): ScalarNode {
  return { kind: 'scalar', value: text, text, place }
}

export function nullNode(place: Place): ScalarNode {
  return { kind: 'scalar', value: null, text: '', place }
}

export function isNull(node: Node | undefined): boolean {
  return node === undefined || (node.kind === 'scalar' && node.value === null)
}

/** The member `key` of a map; undefined when the node is no map or has none. */
export function member(node: Node | undefined, key: string): Node | undefined {
  return node?.kind === 'map' ? node.entries.get(key)?.value : undefined
}

/** The text of a string scalar; undefined for everything else. */
export function stringOf(node: Node | undefined): string | undefined {
  return node?.kind === 'scalar' && typeof node.value === 'string' ? node.value : undefined
}

/** The text of any scalar but null. */
export function textOf(node: Node | undefined): string | undefined {
  return node?.kind === 'scalar' && node.value !== null ? node.text : undefined
}

/** The same map with one member exchanged. */
export function withMember(map: MapNode, key: string, value: Node): MapNode {
  const entries = new Map(map.entries)
  entries.set(key, { keyPlace: map.entries.get(key)?.keyPlace ?? value.place, value })
  return { ...map, entries }
}

export function withoutMember(map: MapNode, key: string): MapNode {
  const entries = new Map(map.entries)
  entries.delete(key)
  return { ...map, entries }
}

/** Rebuilds the members of a map; `change` gets each value and returns what stands in its place. */
export function mapMembers(map: MapNode, change: (value: Node, key: string) => Node): MapNode {
  const entries = new Map<string, Entry>()
  for (const [key, entry] of map.entries) entries.set(key, { ...entry, value: change(entry.value, key) })
  return { ...map, entries }
}

export function joinPath(path: string, key: string): string {
  return path === '' ? key : `${path}.${key}`
}
