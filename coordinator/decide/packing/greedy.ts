/**
 * The heuristics that every packing begins with. First-fit and best-fit decreasing: the largest task first, on the first
 * node that takes it or on the one that it leaves least of. Dot product: node after node is filled, always with the task
 * whose shape is most nearly that of what is still free there (Panigrahy, Talwar, Uyeda and Wieder, "Heuristics for Vector
 * Bin Packing", 2011). Tasks of one size are placed in one walk over the nodes. Null: not all tasks found a place.
 */
import { NodeHeap } from '../placement/node-heap.ts'
import { type Looks, type Packing, type Problem, packingOf, ROUNDING } from './problem.ts'

/** How large a task is, for the order. */
export type Size = (cpu: number, memory: number) => number

/** Largest first; what is equal goes by CPU, then memory, then as given. */
export function decreasing({ cpu, memory }: Problem, size: Size): Int32Array {
  const sizes = Float64Array.from(cpu, (cores, task) => size(cores, memory[task]!))
  return Int32Array.from(cpu.keys()).sort(
    (a, b) => sizes[b]! - sizes[a]! || cpu[b]! - cpu[a]! || memory[b]! - memory[a]! || a - b,
  )
}

export function firstFit(problem: Problem, order: Int32Array, looks: Looks): Packing | null {
  return place(problem, order, looks, function* ({ free }) {
    yield* free.cpu.keys()
  })
}

/** An empty node only where no other takes the task. */
export function bestFit(problem: Problem, order: Int32Array, looks: Looks): Packing | null {
  const heap = new NodeHeap(problem.cpuFree.length)
  return place(problem, order, looks, function* ({ free, begun }, cpu, memory) {
    heap.clear()
    const left = (node: number) => (free.cpu[node]! - cpu) ** 2 + (free.memory[node]! - memory) ** 2
    for (const node of begun) if (fits(free, node, cpu, memory)) heap.add(node, left(node))
    looks.count += begun.size
    heap.order()
    // What went on the first has left even less there.
    for (; heap.size > 0; heap.removeFirst()) yield heap.first
    for (const node of free.cpu.keys()) if (!begun.has(node)) yield node
  })
}

export function dotProduct(problem: Problem, order: Int32Array, looks: Looks): Packing | null {
  const { cpu, memory } = problem
  const free = freeOf(problem)
  const nodes = new Int32Array(cpu.length).fill(-1)
  const kinds = kindsOf(problem, order)
  let left = cpu.length
  for (let node = 0; node < free.cpu.length && left > 0; node++) {
    for (;;) {
      const kind = bestKind(node)
      if (kind === -1) break
      const task = kinds[kind]!.pop()!
      if (kinds[kind]!.length === 0) kinds.splice(kind, 1)
      nodes[task] = node
      take(free, node, cpu[task]!, memory[task]!)
      left -= 1
      if (looks.count > looks.max) return null
    }
  }
  return left === 0 ? packingOf(problem, nodes) : null

  function bestKind(node: number): number {
    let best = -1
    let most = Number.NEGATIVE_INFINITY
    const cpuFree = free.cpu[node]!
    const memoryFree = free.memory[node]!
    looks.count += kinds.length
    for (let kind = 0; kind < kinds.length; kind++) {
      const task = kinds[kind]![0]!
      const cores = cpu[task]!
      const bytes = memory[task]!
      if (!fits(free, node, cores, bytes)) continue
      const suits = cores * cpuFree + bytes * memoryFree
      if (suits <= most) continue
      best = kind
      most = suits
    }
    return best
  }
}

// ---------------------------------------------------------------- parts of them

export type Free = { cpu: Float64Array; memory: Float64Array }

type Placed = { free: Free; begun: Set<number> }

/** `nodesFor`: in which order nodes are filled with tasks of one size. */
function place(
  problem: Problem,
  order: Int32Array,
  looks: Looks,
  nodesFor: (placed: Placed, cpu: number, memory: number) => Iterable<number>,
): Packing | null {
  const { cpu, memory } = problem
  const placed: Placed = { free: freeOf(problem), begun: new Set(Array(problem.begun).keys()) }
  const nodes = new Int32Array(order.length)
  for (const tasks of kindsOf(problem, order)) {
    const cores = cpu[tasks[0]!]!
    const bytes = memory[tasks[0]!]!
    let next = 0
    for (const node of nodesFor(placed, cores, bytes)) {
      looks.count += 1
      for (; next < tasks.length && fits(placed.free, node, cores, bytes); next++) {
        nodes[tasks[next]!] = node
        take(placed.free, node, cores, bytes)
        placed.begun.add(node)
      }
      if (next === tasks.length) break
    }
    if (next < tasks.length || looks.count > looks.max) return null
  }
  return packingOf(problem, nodes)
}

/** Tasks of one size together, in the order given. */
export function kindsOf({ cpu, memory }: Problem, order: Int32Array): number[][] {
  const kinds: number[][] = []
  for (const task of order) {
    const kind = kinds.at(-1)
    if (kind && cpu[kind[0]!] === cpu[task] && memory[kind[0]!] === memory[task]) kind.push(task)
    else kinds.push([task])
  }
  return kinds
}

export function freeOf({ cpuFree, memoryFree }: Problem): Free {
  return { cpu: cpuFree.slice(), memory: memoryFree.slice() }
}

export function fits(free: Free, node: number, cpu: number, memory: number): boolean {
  return cpu <= free.cpu[node]! + ROUNDING && memory <= free.memory[node]! + ROUNDING
}

export function take(free: Free, node: number, cpu: number, memory: number): void {
  free.cpu[node]! -= cpu
  free.memory[node]! -= memory
}
