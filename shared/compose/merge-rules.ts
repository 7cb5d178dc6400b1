/** Which fields merge in a way of their own, as data: everything else follows its YAML kind. */
import { isNull, type ListNode, type MapNode, member, type Node, nullNode, textNode, textOf } from './tree.ts'

/**
 * `replace`: the later value stands alone. `keyed`: list or mapping, merged key by key. `one-or-many`: a text or a list,
 * appended. `logging`: merged only while the driver stays. `loose`: a short and a long form; the later one stands.
 */
export type MergeRule = 'replace' | 'keyed' | 'one-or-many' | 'logging' | 'loose'

const RULES: [pattern: RegExp, rule: MergeRule][] = [
  [/^services\.[^.]+\.(command|entrypoint|healthcheck\.test)$/, 'replace'],
  [
    /^services\.[^.]+\.(environment|labels|annotations|sysctls|depends_on|networks|extra_hosts|deploy\.labels|build\.args|build\.labels)$/,
    'keyed',
  ],
  [/^(volumes|networks)\.[^.]+\.labels$/, 'keyed'],
  [/^services\.[^.]+\.(dns|dns_search|dns_opt|env_file|label_file|tmpfs)$/, 'one-or-many'],
  [/^services\.[^.]+\.logging$/, 'logging'],
  [/^services\.[^.]+\.(build|extends|ulimits\.[^.]+)$/, 'loose'],
  [/^volumes\.[^.]+\.external$/, 'loose'],
]

export function ruleFor(path: string): MergeRule | undefined {
  // Names of services may hold dots; the rules look at the fields behind them, so a dotted name only loses its special rules.
  return RULES.find(([pattern]) => pattern.test(path))?.[1]
}

/** `[A=1, B]` → `{A: 1, B: null}`; names alone (`depends_on`, `networks`) become keys with their short form's meaning. */
export function asKeyedMap(node: Node, path: string): MapNode | undefined {
  if (node.kind === 'map') return node
  if (node.kind !== 'list') return undefined
  const map: MapNode = { kind: 'map', entries: new Map(), place: node.place }
  for (const item of node.items) {
    const text = textOf(item)
    if (text === undefined) return undefined
    const split = splitAt(text, path.endsWith('extra_hosts') && !text.includes('=') ? ':' : '=')
    const value = split.value === undefined ? shortForm(path, item) : textNode(split.value, item.place)
    map.entries.set(split.key, { keyPlace: item.place, value })
  }
  return map
}

function splitAt(text: string, separator: string): { key: string; value?: string } {
  const at = text.indexOf(separator)
  return at < 0 ? { key: text } : { key: text.slice(0, at), value: text.slice(at + 1) }
}

function shortForm(path: string, item: Node): Node {
  if (!path.endsWith('.depends_on')) return nullNode(item.place)
  const condition = textNode('service_started', item.place)
  return {
    kind: 'map',
    entries: new Map([['condition', { keyPlace: item.place, value: condition }]]),
    place: item.place,
  }
}

export function asList(node: Node): ListNode {
  return node.kind === 'list' ? node : { kind: 'list', items: isNull(node) ? [] : [node], place: node.place }
}

/** Items of a merged list with the same identity are the same thing said twice. Undefined: every item is its own. */
export function identityOf(item: Node, path: string): string | undefined {
  const field = path.slice(path.lastIndexOf('.') + 1)
  if (field === 'ports') return portIdentity(item)
  if (field === 'volumes' || field === 'devices') return targetIdentity(item)
  if (field === 'secrets' || field === 'configs') {
    return textOf(member(item, 'target')) ?? textOf(member(item, 'source')) ?? textOf(item)
  }
  if (field === 'command' || field === 'include') return undefined
  return textOf(item)
}

function portIdentity(item: Node): string | undefined {
  if (item.kind !== 'map') {
    const text = textOf(item)
    return text === undefined ? undefined : normalPort(text)
  }
  const part = (key: string) => textOf(member(item, key)) ?? ''
  return [part('host_ip'), part('published'), part('target'), part('protocol') || 'tcp'].join('|')
}

function normalPort(text: string): string {
  const [address = '', protocol = 'tcp'] = text.split('/')
  const match = /^(?:(.*):)?([^:]*):([^:]*)$/.exec(address)
  return match ? [match[1] ?? '', match[2], match[3], protocol].join('|') : ['', '', address, protocol].join('|')
}

function targetIdentity(item: Node): string | undefined {
  if (item.kind === 'map') return textOf(member(item, 'target')) ?? textOf(member(item, 'source'))
  const text = textOf(item)
  if (text === undefined) return undefined
  const parts = text.split(':')
  return parts[1] ?? parts[0]
}
