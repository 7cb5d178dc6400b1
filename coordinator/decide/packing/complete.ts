/**
 * Small batches on equal empty nodes, exactly: node after node gets the largest task that is left and every maximal set of
 * others beside it in turn, as long as no more is wasted than there is to waste (bin completion: Korf, "A new algorithm for
 * optimal bin packing", 2002, in two dimensions). It finds what fits without a gap, which local search hardly does.
 */
import { decreasing } from './greedy.ts'
import { type Looks, type Packing, type Problem, packingOf, ROUNDING } from './problem.ts'

/** All tasks on `count` nodes; null: there is no such packing; undefined: none found within the looks. */
export function complete(problem: Problem, count: number, looks: Looks): Packing | null | undefined {
  const { cpu, memory } = problem
  const cpuRoom = problem.cpuFree[0]!
  const memoryRoom = problem.memoryFree[0]!
  const order = decreasing(problem, Math.max)
  const nodes = new Int32Array(cpu.length).fill(-1)
  let placed = 0
  const toWaste = (room: number, needed: Float64Array) => count * room - needed.reduce((sum, one) => sum + one, 0)
  const found = begin(0, toWaste(cpuRoom, cpu) + ROUNDING, toWaste(memoryRoom, memory) + ROUNDING)
  if (found) return packingOf(problem, nodes)
  return looks.count > looks.max ? undefined : null

  /** Whether all that is left goes on the nodes from this one on. */
  function begin(node: number, cpuWaste: number, memoryWaste: number): boolean {
    if (placed === order.length) return true
    if (node === count || cpuWaste < 0 || memoryWaste < 0) return false
    const at = order.findIndex((task) => nodes[task] === -1)
    return within(at, node, cpuRoom, memoryRoom, cpuWaste, memoryWaste, [])
  }

  /** With the task at `at`, and then any of those after it. */
  function within(
    at: number,
    node: number,
    cpuFree: number,
    memoryFree: number,
    cpuWaste: number,
    memoryWaste: number,
    skipped: number[],
  ): boolean {
    const task = order[at]!
    const cpuLeft = cpuFree - cpu[task]!
    const memoryLeft = memoryFree - memory[task]!
    nodes[task] = node
    placed += 1
    const left = skipped.length
    let last = -1
    for (let next = at + 1; next < order.length; next++) {
      const other = order[next]!
      looks.count += 1
      if (looks.count > looks.max) return false
      if (nodes[other] !== -1 || !isIn(other, cpuLeft, memoryLeft)) continue
      // One of the same size has been tried in this place.
      if (last !== -1 && cpu[other] === cpu[last] && memory[other] === memory[last]) continue
      if (within(next, node, cpuLeft, memoryLeft, cpuWaste, memoryWaste, skipped)) return true
      if (looks.count > looks.max) return false
      skipped.push(other)
      last = other
    }
    const isMaximal = !skipped.some((other) => nodes[other] === -1 && isIn(other, cpuLeft, memoryLeft))
    if (isMaximal && begin(node + 1, cpuWaste - Math.max(0, cpuLeft), memoryWaste - Math.max(0, memoryLeft)))
      return true
    skipped.length = left
    nodes[task] = -1
    placed -= 1
    return false
  }

  function isIn(task: number, cpuLeft: number, memoryLeft: number): boolean {
    return cpu[task]! <= cpuLeft + ROUNDING && memory[task]! <= memoryLeft + ROUNDING
  }
}
