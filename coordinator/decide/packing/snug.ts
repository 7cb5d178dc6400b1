/**
 * Node after node is begun with the task that is worth most and then filled with the set of others that is worth most
 * together, as far as a bounded search sees (minimum bin slack with a fixed task: Fleszar and Hindi, "New heuristics for
 * one-dimensional bin-packing", 2002). A task is worth its size at first; what ended on nodes that were filled badly is
 * worth more the next time (sequential value correction: Belov and Scheithauer, "Setup and open-stacks minimization in
 * one-dimensional stock cutting", 2007). Where CPU and memory are equally scarce this is what helps.
 */
import { decreasing, fits, freeOf, kindsOf, type Size, take } from './greedy.ts'
import { type Looks, type Packing, type Problem, packingOf, ROUNDING } from './problem.ts'

type Kind = { cpu: number; memory: number; size: number; value: number; tasks: number[]; left: number }

/** The best of so many rounds, fewer where there is nothing better than `least`. Null: none found a place for all tasks. */
export function snug(problem: Problem, size: Size, least: number, looks: Looks): Packing | null {
  const { cpu, memory } = problem
  const kinds = kindsOf(problem, decreasing(problem, size)).map((tasks): Kind => {
    const cores = cpu[tasks[0]!]!
    const bytes = memory[tasks[0]!]!
    return { cpu: cores, memory: bytes, size: size(cores, bytes), value: size(cores, bytes), tasks, left: 0 }
  })
  let best: Packing | null = null
  const whole = size(1, 1)
  for (let round = 0; round < ROUNDS && looks.count <= looks.max; round++) {
    const packing = fillAll(problem, kinds, whole, size, looks)
    if (packing && (best === null || packing.newly < best.newly)) best = packing
    if (best && best.newly <= least) break
  }
  return best
}

const ROUNDS = 10

function fillAll(problem: Problem, kinds: Kind[], whole: number, size: Size, looks: Looks): Packing | null {
  const free = freeOf(problem)
  const nodes = new Int32Array(problem.cpu.length).fill(-1)
  for (const kind of kinds) kind.left = kind.tasks.length
  let left = nodes.length
  let rest = kinds.toSorted((a, b) => b.value - a.value)
  for (let node = 0; node < free.cpu.length && left > 0; node++) {
    if (looks.count > looks.max) return null
    const first = rest.find((kind) => fits(free, node, kind.cpu, kind.memory))
    if (!first) continue
    const placed: Kind[] = []
    put(first, node, placed)
    for (const kind of mostWorth(rest, free.cpu[node]!, free.memory[node]!, looks)) put(kind, node, placed)
    const waste = size(Math.max(0, free.cpu[node]!), Math.max(0, free.memory[node]!))
    correct(placed, waste / whole)
    rest = rest.filter((kind) => kind.left > 0)
  }
  return left === 0 ? packingOf(problem, nodes) : null

  function put(kind: Kind, node: number, placed: Kind[]): void {
    kind.left -= 1
    nodes[kind.tasks[kind.left]!] = node
    take(free, node, kind.cpu, kind.memory)
    left -= 1
    placed.push(kind)
  }
}

/** Half of what it was worth, half of its share of a node that its tasks fill so badly. */
function correct(placed: readonly Kind[], waste: number): void {
  for (const kind of new Set(placed)) {
    const times = placed.filter((one) => one === kind).length
    const share = times / (2 * times + kind.left)
    kind.value = (1 - share) * kind.value + share * (kind.size ** POWER / Math.max(0.1, 1 - waste))
  }
}

/** A little more than its size: large ones are harder to place. */
const POWER = 1.04

function mostWorth(kinds: readonly Kind[], cpuFree: number, memoryFree: number, looks: Looks): Kind[] {
  let best: Kind[] = []
  let most = 0
  const chosen: Kind[] = []
  const until = looks.count + NODE_LOOKS_MAX
  search(0, cpuFree, memoryFree, 0)
  return best

  /** Whether to look no further. */
  function search(from: number, cpuLeft: number, memoryLeft: number, worth: number): boolean {
    if (worth > most + ROUNDING) {
      most = worth
      best = chosen.slice()
      if (cpuLeft < SNUG && memoryLeft < SNUG) return true
    }
    for (let at = from; at < kinds.length; at++) {
      looks.count += 1
      if (looks.count > until) return true
      const kind = kinds[at]!
      if (kind.left === 0 || kind.cpu > cpuLeft + ROUNDING || kind.memory > memoryLeft + ROUNDING) continue
      kind.left -= 1
      chosen.push(kind)
      const isEnough = search(at, cpuLeft - kind.cpu, memoryLeft - kind.memory, worth + kind.value)
      chosen.pop()
      kind.left += 1
      if (isEnough) return true
    }
    return false
  }
}

const NODE_LOOKS_MAX = 5_000
/** So little is left that looking further is of no use. */
const SNUG = 0.001
