/**
 * All tasks on so many nodes, if that can be: the largest first, each where most of what it needs is free, so that all nodes
 * fill alike, in CPU and in memory, and the small tasks come last and even out the rest (balancing heuristics: Gabay and
 * Zaourar, "Vector bin packing with heterogeneous bins: application to the machine reassignment problem", 2016). Nodes may be
 * overfilled on the way. Then the most overfilled one exchanges a task with another node, or gives one away, for as long as
 * that makes for less too much in all.
 *
 * Filling node after node spends the tasks of one shape first and is left with those of another; this is not.
 */
import { NodeHeap } from '../placement/node-heap.ts'
import { decreasing, type Free, freeOf, kindsOf, type Size, take } from './greedy.ts'
import { type Looks, type Packing, type Problem, packingOf, ROUNDING, sumOf } from './problem.ts'

/** With at most `newly` of the empty nodes. Null: not found, which does not say that it cannot be. */
export function evenly(problem: Problem, newly: number, size: Size, looks: Looks): Packing | null {
  const free = freeOf(problem)
  const nodes = filled(problem, problem.begun + newly, free, size, looks)
  return nodes && repaired(problem, nodes, free, problem.begun + newly, looks)
}

// ---------------------------------------------------------------- filled

function filled(problem: Problem, count: number, free: Free, size: Size, looks: Looks): Int32Array | null {
  const { cpu, memory } = problem
  /** The scarcer counts for more. */
  const wanted = { cpu: sumOf(cpu), memory: sumOf(memory) }
  const nodes = new Int32Array(cpu.length)
  const heap = new NodeHeap(count)
  for (const tasks of kindsOf(problem, decreasing(problem, size))) {
    const cores = cpu[tasks[0]!]!
    const bytes = memory[tasks[0]!]!
    looks.count += count + tasks.length
    if (looks.count > looks.max) return null
    heap.clear()
    for (let node = 0; node < count; node++) heap.add(node, reluctance(node, cores, bytes))
    heap.order()
    for (const task of tasks) {
      const node = heap.first
      nodes[task] = node
      take(free, node, cores, bytes)
      heap.changeFirst(reluctance(node, cores, bytes))
    }
  }
  return nodes

  /** Below 0: it has room, the more of what is needed the lower; above: by so much the task would be too much. */
  function reluctance(node: number, cores: number, bytes: number): number {
    const cpuFree = free.cpu[node]!
    const memoryFree = free.memory[node]!
    const over = tooMuch(cpuFree - cores, memoryFree - bytes)
    return over > 0 ? over : -(wanted.cpu * cores * cpuFree + wanted.memory * bytes * memoryFree)
  }
}

/** Of a node with so much free. */
function tooMuch(cpuFree: number, memoryFree: number): number {
  return (cpuFree < -ROUNDING ? -cpuFree : 0) + (memoryFree < -ROUNDING ? -memoryFree : 0)
}

// ---------------------------------------------------------------- repaired

type Exchange = { given: number; to: number; taken: number | undefined }

/** Null: there came a round in which no exchange helped, or there were too many looks. */
function repaired(problem: Problem, nodes: Int32Array, free: Free, count: number, looks: Looks): Packing | null {
  const { cpu, memory } = problem
  const tasksOn = Array.from({ length: count }, (): number[] => [])
  for (const [task, node] of nodes.entries()) tasksOn[node]!.push(task)
  const over = Float64Array.from(tasksOn, (_, node) => tooMuch(free.cpu[node]!, free.memory[node]!))
  let left = sumOf(over)
  while (left > 0) {
    const before = left
    relieveAll()
    left = sumOf(over)
    if (looks.count > looks.max || left > before - ROUNDING) return null
  }
  return packingOf(problem, nodes)

  /** Once each, the most overfilled first. What is short of CPU looks for others that have some, and the other way round. */
  function relieveAll(): void {
    const all = [...over.keys()]
    const mostOver = all.filter((node) => over[node]! > 0).sort((a, b) => over[b]! - over[a]!)
    const cpuSpare = (node: number) => free.cpu[node]! - free.memory[node]!
    const byCpu = all.toSorted((a, b) => cpuSpare(b) - cpuSpare(a))
    const byMemory = byCpu.toReversed()
    for (const node of mostOver) relieve(node, cpuSpare(node) < 0 ? byCpu : byMemory)
  }

  function relieve(node: number, others: readonly number[]): void {
    while (over[node]! > 0) {
      const exchange = bestExchange(node, others)
      if (!exchange) return
      move(exchange.given, node, exchange.to)
      if (exchange.taken !== undefined) move(exchange.taken, exchange.to, node)
    }
  }

  /** The one that leaves least too much on both, of some nodes; of as many as it takes to find any. */
  function bestExchange(node: number, others: readonly number[]): Exchange | null {
    let best: Exchange | null = null
    let most = ROUNDING
    for (let at = 0; at < others.length && looks.count <= looks.max; at++) {
      if (best && at > OTHERS_MAX) break
      const to = others[at]!
      if (to === node) continue
      const there = tasksOn[to]!
      const before = over[node]! + over[to]!
      for (const given of tasksOn[node]!) {
        looks.count += there.length + 1
        // One more than there are: nothing is taken in return.
        for (let taking = 0; taking <= there.length; taking++) {
          const taken = there[taking]
          const cores = cpu[given]! - (taken === undefined ? 0 : cpu[taken]!)
          const bytes = memory[given]! - (taken === undefined ? 0 : memory[taken]!)
          const here = tooMuch(free.cpu[node]! + cores, free.memory[node]! + bytes)
          const gain = before - here - tooMuch(free.cpu[to]! - cores, free.memory[to]! - bytes)
          if (gain <= most) continue
          most = gain
          best = { given, to, taken }
        }
      }
    }
    return best
  }

  function move(task: number, from: number, to: number): void {
    const tasks = tasksOn[from]!
    tasks[tasks.indexOf(task)] = tasks.at(-1)!
    tasks.pop()
    tasksOn[to]!.push(task)
    nodes[task] = to
    take(free, from, -cpu[task]!, -memory[task]!)
    take(free, to, cpu[task]!, memory[task]!)
    for (const node of [from, to]) over[node] = tooMuch(free.cpu[node]!, free.memory[node]!)
  }
}

/** Once one that helps is found. */
const OTHERS_MAX = 20
