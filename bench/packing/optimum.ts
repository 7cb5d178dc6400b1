/**
 * The least number of nodes, by HiGHS: a set covering of all maximal sets of tasks that fit on one node, whose relaxation is
 * hardly below the answer (Gilmore and Gomory, 1961); where there are too many of them, tasks assigned to nodes.
 */
import highs from 'highs'
import type { Problem } from '../../coordinator/decide/packing/problem.ts'

export type Optimum = { nodes: number; isProven: boolean }

const FITS = 1e-9
const SETS_MAX = 40_000

/** `atMost`: a packing with so many is known. Not proven: `nodes` is a bound from below. */
export async function optimumOf(problem: Problem, least: number, atMost: number, seconds: number): Promise<Optimum> {
  if (least === atMost) return { nodes: atMost, isProven: true }
  // Its types take it for CommonJS, where the loader would be a property.
  const solver = await (highs as unknown as typeof highs.default)()
  const sets = maximalSets(problem)
  const text = sets ? covering(problem, sets) : assignment(problem, atMost)
  const { Status: status, ...solution } = solver.solve(text, { time_limit: seconds, log_to_console: false } as never)
  const found = 'ObjectiveValue' in solution ? Math.round(solution.ObjectiveValue) : atMost
  return status === 'Optimal' ? { nodes: found, isProven: true } : { nodes: least, isProven: false }
}

/** Null: too many. */
function maximalSets({ cpu, memory }: Problem): number[][] | null {
  const sets: number[][] = []
  let steps = 0
  const grow = (set: number[], from: number, cpuLeft: number, memoryLeft: number): boolean => {
    if (++steps > 50 * SETS_MAX) return false
    const isIn = (task: number) => cpu[task]! <= cpuLeft + FITS && memory[task]! <= memoryLeft + FITS
    let isMaximal = true
    for (let task = 0; task < cpu.length; task++) {
      if (set.includes(task) || !isIn(task)) continue
      isMaximal = false
      if (task >= from && !grow([...set, task], task + 1, cpuLeft - cpu[task]!, memoryLeft - memory[task]!))
        return false
    }
    if (isMaximal) sets.push(set)
    return sets.length <= SETS_MAX
  }
  return grow([], 0, 1, 1) ? sets : null
}

function covering({ cpu }: Problem, sets: number[][]): string {
  const holders = Array.from(cpu, (): string[] => [])
  for (const [at, set] of sets.entries()) for (const task of set) holders[task]!.push(`s${at}`)
  const names = sets.map((_, at) => `s${at}`)
  return [
    'Minimize',
    sum(names),
    'Subject To',
    ...holders.map((those) => `${sum(those)} >= 1`),
    'Binary',
    lines(names, ' '),
    'End',
  ].join('\n')
}

function assignment({ cpu, memory }: Problem, count: number): string {
  const tasks = Array.from(cpu.keys()).sort((a, b) => cpu[b]! + memory[b]! - cpu[a]! - memory[a]!)
  const at = Array.from({ length: count }, (_, node) => node)
  const name = (place: number, node: number) => `x${place}_${node}`
  // Nodes are alike: the first task goes on the first, the second on one of the first two.
  const may = (place: number) => at.filter((node) => node <= place)
  const room = (sizes: Float64Array) =>
    at.map((node) => {
      const parts = tasks.flatMap((task, place) =>
        node <= place ? [`${sizes[task]!.toFixed(12)} ${name(place, node)}`] : [],
      )
      return `${sum(parts)} - y${node} <= 0`
    })
  return [
    'Minimize',
    sum(at.map((node) => `y${node}`)),
    'Subject To',
    ...tasks.map((_, place) => `${sum(may(place).map((node) => name(place, node)))} = 1`),
    ...room(cpu),
    ...room(memory),
    ...at.slice(1).map((node) => `y${node - 1} - y${node} >= 0`),
    'Binary',
    lines(
      [...at.map((node) => `y${node}`), ...tasks.flatMap((_, place) => may(place).map((node) => name(place, node)))],
      ' ',
    ),
    'End',
  ].join('\n')
}

const sum = (parts: readonly string[]) => lines(parts, ' + ')

/** The format has an end of the line. */
function lines(parts: readonly string[], between: string): string {
  const rows: string[] = []
  for (let at = 0; at < parts.length; at += 20) rows.push(parts.slice(at, at + 20).join(between))
  return rows.join(`${between}\n`)
}
