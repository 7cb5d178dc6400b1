/**
 * Fitting nodes by the values of the labels that tasks are to be spread over (Compose's `placement.preferences`). Of two
 * values the one with fewer tasks of the service comes first, level by level; where these are equal, the one that has the
 * policy's better node. Each level is a heap, so that a placement costs the logarithm of the number of values.
 */
import { type Heap, heapOf, removeFirst, sinkFirst } from './heap.ts'
import type { NodeHeap } from './node-heap.ts'

export type Group = {
  tasks: number
  /** Of the next level; null in the last. */
  children: Map<string, Group> | null
  order: Heap<Group> | null
  /** Only in the last level. */
  nodes: NodeHeap | null
  nodeCount: number
}

export function newGroup(): Group {
  return { tasks: 0, children: null, order: null, nodes: null, nodeCount: 0 }
}

/** The group for these values, made if need be, with `tasks` counted in it and all above it. */
export function groupFor(root: Group, values: readonly string[], tasks: number): Group {
  let group = root
  group.tasks += tasks
  for (const value of values) {
    group.children ??= new Map()
    const child = group.children.get(value) ?? newGroup()
    group.children.set(value, child)
    group = child
    group.tasks += tasks
  }
  return group
}

/** Call once all nodes are in their groups' heaps: puts each level in order and leaves out groups without a node. */
export function order(group: Group, count: Comparisons): boolean {
  if (group.children === null) {
    group.nodes?.order()
    return group.nodes !== null && group.nodes.size > 0
  }
  const open = [...group.children.values()].filter((child) => order(child, count))
  group.order = heapOf(open, (a, b) => {
    count.comparisons += 1
    return compare(a, b)
  })
  return open.length > 0
}

export type Comparisons = { comparisons: number }

/** The best node; -1 when there is none. */
export function firstNode(root: Group): number {
  return firstHeap(root)?.first ?? -1
}

/** The best node took a task. `score`: its new one; null: it can take no more. */
export function settleFirst(group: Group, score: number | null): void {
  group.tasks += 1
  if (group.order === null) {
    if (score === null) group.nodes!.removeFirst()
    else group.nodes!.changeFirst(score)
    return
  }
  const child = group.order.items[0]!
  settleFirst(child, score)
  if (isEmpty(child)) removeFirst(group.order)
  else sinkFirst(group.order)
}

function isEmpty({ order, nodes }: Group): boolean {
  return order === null ? nodes!.size === 0 : order.items.length === 0
}

function firstHeap(root: Group): NodeHeap | null {
  let group = root
  while (group.order !== null) {
    const child = group.order.items[0]
    if (!child) return null
    group = child
  }
  return group.nodes
}

/** Of two groups of one level that have nodes. */
function compare(a: Group, b: Group): number {
  if (a.tasks !== b.tasks) return a.tasks - b.tasks
  if (a.order !== null && b.order !== null) return compare(a.order.items[0]!, b.order.items[0]!)
  return a.nodes!.firstScore - b.nodes!.firstScore || a.nodes!.first - b.nodes!.first
}
