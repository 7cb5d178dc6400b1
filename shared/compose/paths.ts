/** Relative paths mean different directories in different files, so they are made absolute before files are merged. */
import path from 'node:path'
import { type MapNode, mapMembers, member, type Node, stringOf, textNode, withMember } from './tree.ts'

/** `directory`: what relative paths in this tree start from; `home`: what `~` stands for. */
export function absolutePaths(tree: MapNode, directory: string, home: string | undefined): MapNode {
  const absolute = (written: string) =>
    written === '~' || written.startsWith('~/')
      ? path.join(home ?? '/root', written.slice(1))
      : path.resolve(directory, written)
  const absoluteNode = (node: Node): Node => {
    const text = stringOf(node)
    return text === undefined || text === '' ? node : { ...textNode(absolute(text), node.place), tag: node.tag }
  }
  return mapMembers(tree, (value, key) => {
    if (value.kind !== 'map') return value
    if (key === 'services') return mapMembers(value, (service) => absoluteInService(service, absolute, absoluteNode))
    if (key === 'volumes') return mapMembers(value, (volume) => absoluteInVolume(volume, absoluteNode))
    return value
  })
}

type Absolute = (written: string) => string
type AbsoluteNode = (node: Node) => Node

function absoluteInService(service: Node, absolute: Absolute, absoluteNode: AbsoluteNode): Node {
  if (service.kind !== 'map') return service
  return mapMembers(service, (value, key) => {
    if (key === 'env_file' || key === 'label_file')
      return eachItem(value, (item) => inMember(item, 'path', absoluteNode))
    if (key === 'volumes') return eachItem(value, (item) => absoluteVolume(item, absolute, absoluteNode))
    if (key === 'extends' && value.kind === 'map') return inMember(value, 'file', absoluteNode)
    return value
  })
}

function absoluteVolume(item: Node, absolute: Absolute, absoluteNode: AbsoluteNode): Node {
  if (item.kind === 'map')
    return stringOf(member(item, 'type')) === 'bind' ? inMember(item, 'source', absoluteNode) : item
  const text = stringOf(item)
  if (text === undefined) return item
  const colon = text.indexOf(':')
  const source = colon < 0 ? '' : text.slice(0, colon)
  return isHostPath(source) ? { ...textNode(absolute(source) + text.slice(colon), item.place), tag: item.tag } : item
}

/** A driver that binds a directory: `driver_opts: {type: none, o: bind, device: ./data}`. */
function absoluteInVolume(volume: Node, absoluteNode: AbsoluteNode): Node {
  const options = member(volume, 'driver_opts')
  if (volume.kind !== 'map' || options?.kind !== 'map') return volume
  const binds = stringOf(member(options, 'o'))?.split(',').includes('bind') ?? false
  return binds ? withMember(volume, 'driver_opts', inMember(options, 'device', absoluteNode)) : volume
}

/** A text is changed itself, a mapping in its member `key`. */
function inMember(node: Node, key: string, change: AbsoluteNode): Node {
  if (node.kind !== 'map') return change(node)
  const value = member(node, key)
  return value ? withMember(node, key, change(value)) : node
}

function eachItem(node: Node, change: AbsoluteNode): Node {
  return node.kind === 'list' ? { ...node, items: node.items.map(change) } : change(node)
}

/** Does a volume's source name a place on the host rather than a volume? */
export function isHostPath(source: string): boolean {
  return source.startsWith('/') || source.startsWith('.') || source === '~' || source.startsWith('~/')
}
