/** What is counted of a course of events, recorded or replayed, so that the two stand beside each other. */
import type { Decision, NodeName, Refusal, Task, World } from '../world.ts'

export type Tally = {
  placements: number
  /** Tasks stopped because another one was to take their place or their room. */
  stopped: number
  /** Tasks that had to wait, by the check that most nodes gave; a task counts once for each check. */
  refusals: Record<string, number>
  waitingMs: number
  /** Most nodes that had a task at one time. */
  nodesUsed: number
  /** Highest share of a node's cores and memory in use at one time, 0 to 1 (more where load was only reckoned), and where. */
  peakCpu: { share: number; node: NodeName | null }
  peakMemory: { share: number; node: NodeName | null }
}

export function newTally(): Tally {
  return {
    placements: 0,
    stopped: 0,
    refusals: {},
    waitingMs: 0,
    nodesUsed: 0,
    peakCpu: { share: 0, node: null },
    peakMemory: { share: 0, node: null },
  }
}

export class Counter {
  readonly tally = newTally()
  private readonly refused = new Set<string>()
  private lastAt: number | null = null

  /** After each beat: what it decided, and what the world looks like now. */
  beat(world: World, now: number, decisions: readonly Decision[]): void {
    const { tally } = this
    if (this.lastAt !== null) tally.waitingMs += world.tasksWaiting.size * Math.max(0, now - this.lastAt)
    this.lastAt = now
    for (const decision of decisions) {
      if (decision.kind === 'place-task') tally.placements += 1
      else if (decision.kind === 'stop-task') tally.stopped += 1
      else if (decision.kind === 'hold-task') this.held(decision.task, decision.refusals)
    }
    tally.nodesUsed = Math.max(tally.nodesUsed, world.tasksByNode.size)
  }

  /** After a heartbeat of the node. */
  load(world: World, name: NodeName): void {
    const node = world.nodes.get(name)
    if (!node?.load || !node.inventory) return
    raise(this.tally.peakCpu, node.load.cpuCoresUsed / Math.max(node.inventory.cpuCores, 1e-9), name)
    raise(this.tally.peakMemory, node.load.memoryBytesUsed / Math.max(node.load.memoryBytesTotal, 1), name)
  }

  private held(task: Task['id'], refusals: readonly Refusal[]): void {
    for (const { check } of refusals) {
      const key = `${task} ${check}`
      if (this.refused.has(key)) continue
      this.refused.add(key)
      this.tally.refusals[check] = (this.tally.refusals[check] ?? 0) + 1
    }
  }
}

function raise(peak: Tally['peakCpu'], share: number, node: NodeName): void {
  if (share <= peak.share) return
  peak.share = share
  peak.node = node
}
