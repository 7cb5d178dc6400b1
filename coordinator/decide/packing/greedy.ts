/**
 * The heuristics that every packing begins with. First-fit and best-fit decreasing: the largest task first, on the first
 * node that takes it or on the one that it leaves least of. Dot product and least left: node after node is filled, always
 * with the task that suits what is still free there (Panigrahy, Talwar, Uyeda and Wieder, "Heuristics for Vector Bin
 * Packing", 2011). Tasks of one size are placed in one walk over the nodes. Null: not all tasks found a place.
 */
import { type Looks, type Packing, type Problem, packingOf, ROUNDING } from './problem.ts'

export type Weights = { cpu: number; memory: number }

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
  return place(problem, order, looks, (cpu, memory, free, from) => {
    for (let node = from; node < free.cpu.length; node++) {
      looks.count += 1
      if (fits(free, node, cpu, memory)) return node
    }
    return -1
  })
}

export function bestFit(problem: Problem, order: Int32Array, weights: Weights, looks: Looks): Packing | null {
  return place(problem, order, looks, (cpu, memory, free, from, opened) => {
    // The one that the last of this size went on has even less left now.
    if (from > 0 && fits(free, from, cpu, memory)) return from
    let best = -1
    let least = Number.POSITIVE_INFINITY
    for (let node = 0; node < free.cpu.length; node++) {
      if (node >= opened && best !== -1) break
      looks.count += 1
      if (!fits(free, node, cpu, memory)) continue
      const cpuLeft = free.cpu[node]! - cpu
      const memoryLeft = free.memory[node]! - memory
      const left = weights.cpu * cpuLeft * cpuLeft + weights.memory * memoryLeft * memoryLeft
      if (left >= least) continue
      best = node
      least = left
    }
    return best
  })
}

/** The task that suits best is the one whose shape is that of the room (`dot`), or that leaves least (`left`). */
export function fillEach(problem: Problem, by: 'dot' | 'left', weights: Weights, looks: Looks): Packing | null {
  const { cpu, memory } = problem
  const order = decreasing(problem, (cores, bytes) => weights.cpu * cores + weights.memory * bytes)
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
      const suits =
        by === 'dot'
          ? weights.cpu * cores * cpuFree + weights.memory * bytes * memoryFree
          : -(weights.cpu * (cpuFree - cores) ** 2 + weights.memory * (memoryFree - bytes) ** 2)
      if (suits <= most) continue
      best = kind
      most = suits
    }
    return best
  }
}

// ---------------------------------------------------------------- parts of them

export type Free = { cpu: Float64Array; memory: Float64Array }

type Choose = (cpu: number, memory: number, free: Free, from: number, opened: number) => number

/** `opened`: no node from there on has anything. */
function place(problem: Problem, order: Int32Array, looks: Looks, choose: Choose): Packing | null {
  const { cpu, memory, begun } = problem
  const free = freeOf(problem)
  const nodes = new Int32Array(order.length)
  let opened = begun
  let last = -1
  let node = 0
  for (const task of order) {
    const isAsLast = last !== -1 && cpu[task] === cpu[last] && memory[task] === memory[last]
    node = choose(cpu[task]!, memory[task]!, free, isAsLast ? node : 0, opened)
    if (node === -1 || looks.count > looks.max) return null
    nodes[task] = node
    take(free, node, cpu[task]!, memory[task]!)
    opened = Math.max(opened, node + 1)
    last = task
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
