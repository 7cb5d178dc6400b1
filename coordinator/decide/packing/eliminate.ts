/**
 * Doing with one node fewer: the tasks of one go into a pool, and each of the pool is put back where it fits, or where it
 * drives out those that have been hardest to place least often (the ejection search of Nagata and Bräysy, "A powerful
 * route minimization heuristic for the vehicle routing problem with time windows", 2009, with nodes for routes). Between,
 * tasks of two nodes change places, so that the search does not go in circles.
 */
import { fits, freeOf, take } from './greedy.ts'
import { type Looks, type Packing, type Problem, packingOf } from './problem.ts'

/** Null: not found within the looks. The same answer each time: what is drawn by lot is drawn from one fixed series. */
export function eliminate(problem: Problem, { nodes }: Packing, looks: Looks): Packing | null {
  const { cpu, memory } = problem
  const nodeOf = nodes.slice()
  const free = freeOf(problem)
  const tasksOn = new Map<number, number[]>()
  for (let node = 0; node < problem.begun; node++) tasksOn.set(node, [])
  for (const [task, node] of nodeOf.entries()) {
    take(free, node, cpu[task]!, memory[task]!)
    const tasks = tasksOn.get(node)
    if (tasks) tasks.push(task)
    else tasksOn.set(node, [task])
  }
  const given = leastFilled(tasksOn, problem)
  if (given === -1) return null
  const pool = tasksOn.get(given)!
  tasksOn.delete(given)
  const kept = [...tasksOn.keys()]
  if (kept.length === 0) return null
  const hard = new Float64Array(cpu.length).fill(1)
  const below = lots()
  while (pool.length > 0) {
    if (looks.count > looks.max) return null
    const task = pool.pop()!
    const node = roomFor(task)
    if (node !== -1) {
      put(task, node)
      continue
    }
    hard[task]! += 1
    const ejection = leastHard(task)
    if (!ejection) return null
    for (const one of ejection.tasks) pool.push(drop(one))
    put(task, ejection.node)
    for (let swap = 0; swap < SWAPS; swap++) exchange()
  }
  return packingOf(problem, nodeOf)

  function roomFor(task: number): number {
    let best = -1
    let least = Number.POSITIVE_INFINITY
    looks.count += kept.length
    for (const node of kept) {
      if (!fits(free, node, cpu[task]!, memory[task]!)) continue
      const left = (free.cpu[node]! - cpu[task]!) ** 2 + (free.memory[node]! - memory[task]!) ** 2
      if (left >= least) continue
      best = node
      least = left
    }
    return best
  }

  /** Of all ones and twos that would make room for the task, those that are least hard to place; the smaller of equal ones. */
  function leastHard(task: number): { node: number; tasks: number[] } | null {
    let best: { node: number; tasks: number[] } | null = null
    let least = Number.POSITIVE_INFINITY
    for (const node of kept) {
      if (looks.count > looks.max) return null
      const tasks = tasksOn.get(node)!
      const cpuShort = cpu[task]! - free.cpu[node]!
      const memoryShort = memory[task]! - free.memory[node]!
      for (let first = 0; first < tasks.length; first++) {
        const a = tasks[first]!
        for (let second = first; second < tasks.length; second++) {
          looks.count += 1
          const b = tasks[second]!
          const isOne = a === b
          if (cpu[a]! + (isOne ? 0 : cpu[b]!) < cpuShort || memory[a]! + (isOne ? 0 : memory[b]!) < memoryShort)
            continue
          const size = cpu[a]! + memory[a]! + (isOne ? 0 : cpu[b]! + memory[b]!)
          const cost = hard[a]! + (isOne ? 0 : hard[b]!) + size / SMALL
          if (cost >= least) continue
          least = cost
          best = { node, tasks: isOne ? [a] : [a, b] }
        }
      }
    }
    return best
  }

  function put(task: number, node: number): void {
    nodeOf[task] = node
    tasksOn.get(node)!.push(task)
    take(free, node, cpu[task]!, memory[task]!)
  }

  function drop(task: number): number {
    const node = nodeOf[task]!
    const tasks = tasksOn.get(node)!
    tasks[tasks.indexOf(task)] = tasks.at(-1)!
    tasks.pop()
    take(free, node, -cpu[task]!, -memory[task]!)
    return task
  }

  function exchange(): void {
    looks.count += 1
    const from = kept[below(kept.length)]!
    const to = kept[below(kept.length)]!
    const there = tasksOn.get(to)!
    const here = tasksOn.get(from)!
    if (from === to || here.length === 0) return
    const a = here[below(here.length)]!
    // One more than there are: a move without anything in return.
    const b = there[below(there.length + 1)]
    const cpuMore = cpu[a]! - (b === undefined ? 0 : cpu[b]!)
    const memoryMore = memory[a]! - (b === undefined ? 0 : memory[b]!)
    if (!fits(free, to, cpuMore, memoryMore) || !fits(free, from, -cpuMore, -memoryMore)) return
    drop(a)
    if (b !== undefined) put(drop(b), from)
    put(a, to)
  }
}

const SWAPS = 12
/** So that size settles only what is equally hard. */
const SMALL = 1000

/** Of those that are begun for these tasks. */
function leastFilled(tasksOn: Map<number, number[]>, { cpu, memory, begun }: Problem): number {
  let best = -1
  let least = Number.POSITIVE_INFINITY
  for (const [node, tasks] of tasksOn) {
    if (node < begun) continue
    const filled = tasks.reduce((sum, task) => sum + cpu[task]! + memory[task]!, 0)
    if (filled >= least) continue
    best = node
    least = filled
  }
  return best
}

/** A fixed series (xorshift of Marsaglia, 2003): not chance, the order of a search. */
function lots(): (count: number) => number {
  let state = 0x9e3779b9
  return (count) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % count
  }
}
