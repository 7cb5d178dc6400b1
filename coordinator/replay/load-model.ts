/** What a host would have measured with other tasks on it: its own load as recorded, and that of the containers it has now. */
import type { ContainerLoad } from '../../shared/load.ts'
import type { Observation, ServiceName, Task, World } from '../world.ts'

type Heartbeat = Extract<Observation, { kind: 'heartbeat' }>
type Use = { cpuCoresUsed: number; memoryBytesUsed: number }

export class LoadModel {
  private readonly real: World

  constructor(real: World) {
    this.real = real
  }

  /** The heartbeat of a host in the other world. Call after the recorded one was applied to the real world. */
  heartbeat(recorded: Heartbeat, other: World): Heartbeat {
    const { load } = recorded
    const node = this.real.nodes.get(recorded.node)
    const own = { cpuCoresUsed: load.cpuCoresUsed, memoryBytesUsed: load.memoryBytesUsed }
    for (const container of node?.containerLoads.values() ?? []) {
      own.cpuCoresUsed -= container.cpuCoresUsed
      own.memoryBytesUsed -= container.memoryBytesUsed
    }
    const containers: ContainerLoad[] = []
    const total = { cpuCoresUsed: Math.max(0, own.cpuCoresUsed), memoryBytesUsed: Math.max(0, own.memoryBytesUsed) }
    for (const task of other.tasksByNode.get(recorded.node) ?? []) {
      if (task.observed.state !== 'running') continue
      const use = this.useOf(task)
      if (!use) continue
      containers.push({ task: task.id, ...use })
      total.cpuCoresUsed += use.cpuCoresUsed
      total.memoryBytesUsed += use.memoryBytesUsed
    }
    return { ...recorded, load: { ...load, ...total }, containers }
  }

  /** Its own use in reality, or what the tasks of its service use on average; null: nothing was measured. */
  private useOf(task: Task): Use | null {
    return this.measured(task.id) ?? this.meanOf(task.service)
  }

  private measured(id: string): Use | null {
    const node = this.real.tasks.get(id)?.node
    const load = node == null ? undefined : this.real.nodes.get(node)?.containerLoads.get(id)
    return load ? { cpuCoresUsed: load.cpuCoresUsed, memoryBytesUsed: load.memoryBytesUsed } : null
  }

  private meanOf(service: ServiceName): Use | null {
    const sum = { cpuCoresUsed: 0, memoryBytesUsed: 0 }
    let count = 0
    for (const task of this.real.tasksByService.get(service) ?? []) {
      const load = this.measured(task.id)
      if (!load) continue
      sum.cpuCoresUsed += load.cpuCoresUsed
      sum.memoryBytesUsed += load.memoryBytesUsed
      count += 1
      if (count === SAMPLES_MAX) break
    }
    if (count === 0) return null
    return { cpuCoresUsed: sum.cpuCoresUsed / count, memoryBytesUsed: sum.memoryBytesUsed / count }
  }
}

/** The mean of so many tasks says enough. */
const SAMPLES_MAX = 32
