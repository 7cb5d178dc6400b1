/**
 * Tasks that come together on as few nodes as can be found with bounded work: the best of several heuristics, then, for
 * as long as there may be something better, one node fewer by search. Never more nodes than first-fit decreasing, best-fit
 * decreasing or dot product alone. The same tasks and nodes give the same packing.
 */
import { complete } from './complete.ts'
import { eliminate } from './eliminate.ts'
import { evenly } from './evenly.ts'
import { bestFit, decreasing, dotProduct, firstFit, type Size } from './greedy.ts'
import { type Looks, leastNewly, type Packing, type Problem, sumOf } from './problem.ts'
import { snug } from './snug.ts'

export type Packed = Packing & { least: number; looks: number }

/** How much each search may look at beyond the plain heuristics. */
export type Effort = Record<'evenly' | 'snug' | 'exact' | 'ejection', number>

/** Null: there is not room for all, no plain heuristic found it, or they are too many to look for it. */
export function pack(problem: Problem, looks: Looks = greedyLooks(), effort: Effort = EFFORT): Packed | null {
  const least = leastNewly(problem)
  if (least > problem.cpuFree.length - problem.begun || !hasRoom(problem)) return null
  let best = plain(problem, looks)
  if (!best) return null
  const of: Record<keyof Effort, Looks> = {
    evenly: { count: 0, max: effort.evenly },
    snug: { count: 0, max: effort.snug },
    exact: { count: 0, max: effort.exact },
    ejection: { count: 0, max: effort.ejection },
  }
  for (const size of [sum, Math.max]) best = fewer(best, fewestEvenly(problem, least, best.newly, size, of.evenly))
  if (best.newly > least) best = fewer(best, snug(problem, sum, least, of.snug))
  while (best.newly > least) {
    const better = oneFewer(problem, best, of.exact, of.ejection)
    if (!better) break
    best = better
  }
  return { ...best, least, looks: Object.values(of).reduce((count, one) => count + one.count, looks.count) }
}

/** Of the plain heuristics together: some tens of milliseconds. */
export function greedyLooks(): Looks {
  return { count: 0, max: 40_000_000 }
}

const EFFORT: Effort = { evenly: 15_000_000, snug: 15_000_000, exact: 1_000_000, ejection: 2_000_000 }
const EXACT_TASKS_MAX = 100

/** False: they need more together than is free. Where room is short this is mostly why, and it costs next to nothing. */
function hasRoom({ cpu, memory, cpuFree, memoryFree }: Problem): boolean {
  return sumOf(cpu) <= sumOf(cpuFree) + SUM_ROUNDING && sumOf(memory) <= sumOf(memoryFree) + SUM_ROUNDING
}

/** Of sums over many nodes. What is wrongly let through is found out by the heuristics. */
const SUM_ROUNDING = 1e-6

/** The three that nothing may be worse than. Null: none finds a place for all, and then nobody looks further. */
function plain(problem: Problem, looks: Looks): Packing | null {
  const order = decreasing(problem, sum)
  return [firstFit, bestFit, dotProduct]
    .map((heuristic) => heuristic(problem, order, looks))
    .reduce((best, packing) => (best ? fewer(best, packing) : packing))
}

const sum: Size = (cpu, memory) => cpu + memory

function fewer(best: Packing, other: Packing | null): Packing {
  return other !== null && other.newly < best.newly ? other : best
}

/** With as few as `least` or, by halving, with fewer than `below`: where some are enough, more nearly always are, too. */
function fewestEvenly(problem: Problem, least: number, below: number, size: Size, looks: Looks): Packing | null {
  let best: Packing | null = null
  let from = least
  for (let count = least; from < below; count = (from + below) >> 1) {
    // So that something is left for the next.
    const some: Looks = { count: 0, max: (looks.max - looks.count) / 2 }
    const packing = evenly(problem, count, size, some)
    looks.count += some.count
    if (packing) best = packing
    if (packing) below = packing.newly
    else from = count + 1
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
