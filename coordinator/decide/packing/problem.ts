/**
 * Which task goes on which node so that few nodes are begun, as plain figures: vector bin packing in two dimensions. Sizes
 * and room are shares of the largest room of each kind, so that CPU and memory can be compared.
 */

export type Problem = {
  /** Of each task. */
  cpu: Float64Array
  memory: Float64Array
  /** What is free on each node: first those that run something already, which cost nothing, then the empty ones. */
  cpuFree: Float64Array
  memoryFree: Float64Array
  /** How many of the nodes run something already. */
  begun: number
}

/** `nodes`: of each task. `newly`: how many empty nodes it begins. */
export type Packing = { nodes: Int32Array; newly: number }

/** Counts what was looked at; whoever asks for more than `max` gives up. */
export type Looks = { count: number; max: number }

export function packingOf(problem: Problem, nodes: Int32Array): Packing {
  const newly = new Set<number>()
  for (const node of nodes) if (node >= problem.begun) newly.add(node)
  return { nodes, newly: newly.size }
}

/** What no packing gets below: by what all tasks need together, and by tasks of which no two go on one node. */
export function leastNewly(problem: Problem): number {
  const { cpu, memory, cpuFree, memoryFree, begun } = problem
  const bySum = Math.max(least(cpu, cpuFree, begun), least(memory, memoryFree, begun))
  return begun > 0 ? bySum : Math.max(bySum, apart(problem))
}

function least(needed: Float64Array, free: Float64Array, begun: number): number {
  let left = sumOf(needed)
  for (let node = 0; node < begun; node++) left -= free[node]!
  const largest = free.subarray(begun).reduce((most, one) => Math.max(most, one), 0)
  return left <= ROUNDING ? 0 : Math.ceil(left / largest - ROUNDING)
}

/** Taken greedily, the largest first. Looks at so many tasks only: it is for small batches that the answer matters. */
function apart({ cpu, memory, cpuFree, memoryFree }: Problem): number {
  const cpuMost = cpuFree.reduce((most, one) => Math.max(most, one), 0)
  const memoryMost = memoryFree.reduce((most, one) => Math.max(most, one), 0)
  const largest = (task: number) => Math.max(cpu[task]!, memory[task]!)
  const order = Array.from(cpu.keys()).sort((a, b) => largest(b) - largest(a))
  const taken: number[] = []
  for (const task of order.slice(0, APART_MAX)) {
    const fitsWith = (other: number) =>
      cpu[task]! + cpu[other]! <= cpuMost + ROUNDING && memory[task]! + memory[other]! <= memoryMost + ROUNDING
    if (!taken.some(fitsWith)) taken.push(task)
  }
  return taken.length
}

const APART_MAX = 200

export function sumOf(values: Float64Array): number {
  return values.reduce((sum, value) => sum + value, 0)
}

/** Sums of fractions are inexact. Less than what the check of CPU forgives on a node of up to a thousand cores. */
export const ROUNDING = 1e-9
