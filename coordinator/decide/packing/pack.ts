/**
 * Tasks that come together on as few nodes as can be found with bounded work: the best of several heuristics, then, for
 * as long as there may be something better, one node fewer by search. Never more nodes than first-fit decreasing, best-fit
 * decreasing or dot product alone. The same tasks and nodes give the same packing.
 */
import { complete } from './complete.ts'
import { eliminate } from './eliminate.ts'
import { bestFit, decreasing, fillEach, firstFit, type Size, type Weights } from './greedy.ts'
import { type Looks, leastNewly, type Packing, type Problem } from './problem.ts'
import { snug } from './snug.ts'

export type Packed = Packing & { least: number; looks: number }

/** How much of the search for one node fewer is made, in looks. */
export type Effort = { exact: number; ejection: number }

/** Null: there is not room for all, no plain heuristic found it, or they are too many to look for it. */
export function pack(problem: Problem, looks: Looks = greedyLooks(), effort: Effort = EFFORT): Packed | null {
  const least = leastNewly(problem)
  if (least > problem.cpuFree.length - problem.begun || !hasRoom(problem)) return null
  let best = greedy(problem, least, looks)
  if (!best) return null
  const exact: Looks = { count: 0, max: effort.exact }
  const ejection: Looks = { count: 0, max: effort.ejection }
  while (best.newly > least) {
    const better = oneFewer(problem, best, exact, ejection)
    if (!better) break
    best = better
  }
  return { ...best, least, looks: looks.count + exact.count + ejection.count }
}

/** Of all heuristics together: some tens of milliseconds. */
export function greedyLooks(): Looks {
  return { count: 0, max: 40_000_000 }
}

/** Of all searches for one node fewer together. */
const EFFORT: Effort = { exact: 1_000_000, ejection: 2_000_000 }
const EXACT_TASKS_MAX = 100

/** False: they need more together than is free. Where room is short this is mostly why, and it costs next to nothing. */
function hasRoom({ cpu, memory, cpuFree, memoryFree }: Problem): boolean {
  return sumOf(cpu) <= sumOf(cpuFree) + SUM_ROUNDING && sumOf(memory) <= sumOf(memoryFree) + SUM_ROUNDING
}

/** Of sums over many nodes. What is wrongly let through is found out by the heuristics. */
const SUM_ROUNDING = 1e-6

function greedy(problem: Problem, least: number, looks: Looks): Packing | null {
  const { cpu, memory } = problem
  const even: Weights = { cpu: 1, memory: 1 }
  const wanted: Weights = { cpu: sumOf(cpu), memory: sumOf(memory) }
  const sum: Size = (cores, bytes) => cores + bytes
  const otherSizes: Size[] = [
    Math.max,
    (cores, bytes) => wanted.cpu * cores + wanted.memory * bytes,
    (cores, bytes) => cores * bytes,
    (cores, bytes) => cores * cores + bytes * bytes,
  ]
  const bySize = (size: Size) => {
    const order = decreasing(problem, size)
    return [() => firstFit(problem, order, looks), () => bestFit(problem, order, even, looks)]
  }
  // The three that nothing may be worse than come first. Where none of them finds room it is as good as none: the others
  // are there to find fewer nodes.
  const plain = [...bySize(sum), () => fillEach(problem, 'dot', even, looks)]
  const others = [
    () => fillEach(problem, 'dot', wanted, looks),
    () => fillEach(problem, 'left', even, looks),
    () => fillEach(problem, 'left', wanted, looks),
    ...otherSizes.flatMap(bySize),
    () => snug(problem, sum, least, looks),
  ]
  const first = bestOf(plain, null, least)
  return first && bestOf(others, first, least)
}

function bestOf(tries: readonly (() => Packing | null)[], given: Packing | null, least: number): Packing | null {
  let best = given
  for (const attempt of tries) {
    if (best && best.newly <= least) break
    const packing = attempt()
    if (packing && (best === null || packing.newly < best.newly)) best = packing
  }
  return best
}

function oneFewer(problem: Problem, packing: Packing, exact: Looks, ejection: Looks): Packing | null {
  if (problem.begun === 0 && problem.cpu.length <= EXACT_TASKS_MAX && isEven(problem)) {
    const found = complete(problem, packing.newly - 1, exact)
    if (found !== undefined) return found
  }
  return eliminate(problem, packing, ejection)
}

function isEven({ cpuFree, memoryFree }: Problem): boolean {
  return cpuFree.every((free) => free === cpuFree[0]) && memoryFree.every((free) => free === memoryFree[0])
}

function sumOf(values: Float64Array): number {
  return values.reduce((sum, value) => sum + value, 0)
}
