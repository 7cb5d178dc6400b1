/**
 * Counters as Prometheus wants them, added up from the rates that agents tell: CPU seconds and bytes since this coordinator first heard
 * of a node or task. They begin anew with the coordinator, as counters may.
 */
import type { Instant } from '../../shared/clock.ts'
import type { ContainerLoad, HostLoad } from '../../shared/load.ts'
import type { Devices } from '../../shared/wire/up.ts'
import type { Node } from '../world.ts'

export type HostTotals = {
  cpuSecondsUser: number
  cpuSecondsSystem: number
  cpuSecondsIowait: number
  cpuSecondsSteal: number
  cpuSecondsUsed: number
  receivedBytes: number
  sentBytes: number
  readBytes: number
  writtenBytes: number
}
export type ContainerTotals = {
  cpuSeconds: number
  receivedBytes: number
  sentBytes: number
  readBytes: number
  writtenBytes: number
}

/** Of a node that was away nobody knows what it used: that time counts for nothing. */
const GAP_SECONDS_MAX = 10

export type NodeDevices = Omit<Devices, 'kind'>
type OfNode = { at: Instant; host: HostTotals; tasks: Map<string, ContainerTotals> }

export class Totals {
  readonly #nodes = new Map<string, OfNode>()
  readonly #devices = new Map<string, NodeDevices>()

  /** Adds what the node used since the call before. */
  add(node: Node, now: Instant): void {
    if (node.load === null) return
    const known = this.#nodes.get(node.name)
    const totals = known ?? { at: now, host: noHostTotals(), tasks: new Map<string, ContainerTotals>() }
    if (known === undefined) this.#nodes.set(node.name, totals)
    const seconds = (now - totals.at) / 1000
    totals.at = now
    const counts = seconds > 0 && seconds <= GAP_SECONDS_MAX ? seconds : 0
    addHost(totals.host, node.load, counts)
    for (const load of node.containerLoads.values()) {
      const task = totals.tasks.get(load.task) ?? noContainerTotals()
      totals.tasks.set(load.task, task)
      addContainer(task, load, counts)
    }
    if (totals.tasks.size <= node.containerLoads.size) return
    for (const task of totals.tasks.keys()) if (!node.containerLoads.has(task)) totals.tasks.delete(task)
  }

  /** These the hosts count themselves, since they started. */
  hear(node: string, { disks, networks }: NodeDevices): void {
    this.#devices.set(node, { disks, networks })
  }

  /** Undefined: its agent tells none. */
  devices(node: string): NodeDevices | undefined {
    return this.#devices.get(node)
  }

  host(node: string): HostTotals | undefined {
    return this.#nodes.get(node)?.host
  }

  task(node: string, task: string): ContainerTotals | undefined {
    return this.#nodes.get(node)?.tasks.get(task)
  }

  /** Forgets nodes that are no more. */
  keepOnly(isKept: (node: string) => boolean): void {
    for (const map of [this.#nodes, this.#devices]) {
      for (const node of map.keys()) if (!isKept(node)) map.delete(node)
    }
  }
}

function addHost(totals: HostTotals, load: HostLoad, seconds: number): void {
  totals.cpuSecondsUsed += load.cpuCoresUsed * seconds
  totals.cpuSecondsUser += (load.detail?.cpuCoresUser ?? 0) * seconds
  totals.cpuSecondsSystem += (load.detail?.cpuCoresSystem ?? 0) * seconds
  totals.cpuSecondsIowait += (load.detail?.cpuCoresIowait ?? 0) * seconds
  totals.cpuSecondsSteal += (load.detail?.cpuCoresSteal ?? 0) * seconds
  totals.receivedBytes += load.networkReceiveBytesPerSecond * seconds
  totals.sentBytes += load.networkSendBytesPerSecond * seconds
  totals.readBytes += load.diskReadBytesPerSecond * seconds
  totals.writtenBytes += load.diskWriteBytesPerSecond * seconds
}

function addContainer(totals: ContainerTotals, load: ContainerLoad, seconds: number): void {
  totals.cpuSeconds += load.cpuCoresUsed * seconds
  totals.receivedBytes += (load.networkReceiveBytesPerSecond ?? 0) * seconds
  totals.sentBytes += (load.networkSendBytesPerSecond ?? 0) * seconds
  totals.readBytes += (load.blockReadBytesPerSecond ?? 0) * seconds
  totals.writtenBytes += (load.blockWriteBytesPerSecond ?? 0) * seconds
}

function noHostTotals(): HostTotals {
  return {
    cpuSecondsUser: 0,
    cpuSecondsSystem: 0,
    cpuSecondsIowait: 0,
    cpuSecondsSteal: 0,
    cpuSecondsUsed: 0,
    receivedBytes: 0,
    sentBytes: 0,
    readBytes: 0,
    writtenBytes: 0,
  }
}

function noContainerTotals(): ContainerTotals {
  return { cpuSeconds: 0, receivedBytes: 0, sentBytes: 0, readBytes: 0, writtenBytes: 0 }
}
