/**
 * Evens out: first the tasks of the same service (a lost node then costs it least), then what is promised, then what is
 * measured, then the mere number of tasks. Promise and load are compared in coarse steps: a hair's difference in a
 * figure that is a second old must not outweigh the number of tasks, or a burst of placements would all go to one node.
 */
import type { NodePicture } from '../picture.ts'
import type { PlaceRequest } from '../requests.ts'
import type { Policy } from './policy.ts'

export const spread: Policy = {
  name: 'spread',
  compare(request, a, b) {
    return (
      ownTasks(request, a) - ownTasks(request, b) ||
      step(promisedShare(a), PROMISE_STEP) - step(promisedShare(b), PROMISE_STEP) ||
      step(loadShare(a), LOAD_STEP) - step(loadShare(b), LOAD_STEP) ||
      a.taskCount - b.taskCount ||
      promisedShare(a) - promisedShare(b) ||
      // Equal in all that matters: by name, so that the same world gives the same answer.
      (a.node.name < b.node.name ? -1 : a.node.name > b.node.name ? 1 : 0)
    )
  },
  score(request, seen) {
    return {
      tasksOfService: ownTasks(request, seen),
      promisedShare: rounded(promisedShare(seen)),
      loadShare: rounded(loadShare(seen)),
      tasks: seen.taskCount,
    }
  },
}

const PROMISE_STEP = 0.05
const LOAD_STEP = 0.25

function ownTasks({ service }: PlaceRequest, seen: NodePicture): number {
  return seen.tasksByService.get(service.name) ?? 0
}

/** The scarcer of CPU and memory, 0 to 1. */
function promisedShare({ node, cpuCoresPromised, memoryBytesPromised }: NodePicture): number {
  if (!node.inventory) return 0
  const { cpuCores, memoryBytes } = node.inventory
  return Math.max(share(cpuCoresPromised, cpuCores), share(memoryBytesPromised, memoryBytes))
}

/** The busier of CPU and memory as last measured, 0 to 1; nothing measured yet counts as idle. */
function loadShare({ node }: NodePicture): number {
  if (!node.load) return 0
  const { cpuCoresUsed, memoryBytesUsed, memoryBytesTotal } = node.load
  return Math.max(share(cpuCoresUsed, node.inventory?.cpuCores ?? 0), share(memoryBytesUsed, memoryBytesTotal))
}

function share(part: number, whole: number): number {
  return whole > 0 ? Math.min(1, part / whole) : 0
}

function step(value: number, size: number): number {
  return Math.floor(value / size + 1e-9)
}

function rounded(value: number): number {
  return Math.round(value * 1000) / 1000
}
