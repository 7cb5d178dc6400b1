/** The heuristics as the papers tell them, in the plainest way: what nothing of ours may be worse than. How many nodes each begins. */
import type { Problem } from '../../../../coordinator/decide/packing/problem.ts'

const SLACK = 1e-9

type Node = { cpu: number; memory: number; isEmpty: boolean }
type Task = { cpu: number; memory: number }

/** Largest sum first, equal ones by CPU. */
function tasksOf({ cpu, memory }: Problem): Task[] {
  const tasks = Array.from(cpu, (one, at) => ({ cpu: one, memory: memory[at]! }))
  return tasks.sort((a, b) => b.cpu + b.memory - (a.cpu + a.memory) || b.cpu - a.cpu)
}

function nodesOf({ cpuFree, memoryFree, begun }: Problem): Node[] {
  return Array.from(cpuFree, (cpu, at) => ({ cpu, memory: memoryFree[at]!, isEmpty: at >= begun }))
}

const takes = (node: Node, task: Task) => task.cpu <= node.cpu + SLACK && task.memory <= node.memory + SLACK

function oneByOne(problem: Problem, choose: (nodes: Node[], task: Task) => Node | undefined): number | null {
  const nodes = nodesOf(problem)
  let newly = 0
  for (const task of tasksOf(problem)) {
    const node = choose(nodes, task)
    if (!node) return null
    if (node.isEmpty) newly += 1
    fill(node, task)
  }
  return newly
}

function fill(node: Node, task: Task): void {
  node.cpu -= task.cpu
  node.memory -= task.memory
  node.isEmpty = false
}

export function plainFirstFit(problem: Problem): number | null {
  return oneByOne(problem, (nodes, task) => nodes.find((node) => takes(node, task)))
}

/** An empty node only where no other takes the task. */
export function plainBestFit(problem: Problem): number | null {
  return oneByOne(problem, (nodes, task) => {
    const fitting = nodes.filter((node) => takes(node, task))
    const begun = fitting.filter(({ isEmpty }) => !isEmpty)
    const left = (node: Node) => (node.cpu - task.cpu) ** 2 + (node.memory - task.memory) ** 2
    return (begun.length > 0 ? begun : fitting.slice(0, 1)).toSorted((a, b) => left(a) - left(b))[0]
  })
}

export function plainDotProduct(problem: Problem): number | null {
  let tasks = tasksOf(problem)
  let newly = 0
  for (const node of nodesOf(problem)) {
    const wasEmpty = node.isEmpty
    for (;;) {
      const suits = (task: Task) => task.cpu * node.cpu + task.memory * node.memory
      const [best] = tasks.filter((task) => takes(node, task)).toSorted((a, b) => suits(b) - suits(a))
      if (!best) break
      fill(node, best)
      tasks = tasks.filter((task) => task !== best)
    }
    if (wasEmpty && !node.isEmpty) newly += 1
  }
  return tasks.length === 0 ? newly : null
}
