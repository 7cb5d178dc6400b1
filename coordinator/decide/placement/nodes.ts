/**
 * The nodes of a picture as columns of numbers: what policies and the two commonest checks read, so that looking at a node
 * costs a few loads and allocates nothing. In the order of the nodes' names, which settles what is equal otherwise.
 */
import type { NodeName, ServiceName } from '../../world.ts'
import { CORES_ROUNDING } from '../checks/cpu.ts'
import type { NodePicture, Picture } from '../picture.ts'
import { type Bounds, type Need, newFigures } from '../policies/policy.ts'

export class Nodes {
  /** By index. */
  readonly seen: NodePicture[]
  /** For nodes low and high are one array: a node's figure is what it is. */
  readonly figures: Bounds
  /** By index a number below `SIZES` for CPU and memory together: nodes that are about as large have one. */
  readonly sizes: Int32Array
  /** Indexes of nodes in the order in which they took tasks: who keeps something derived catches up from here. */
  readonly taken: number[] = []
  /** What the figures are reckoned from, in rows. */
  readonly #sums: Float64Array
  readonly #indexes = new Map<NodeName, number>()
  #service: ServiceName | null = null
  /** Those with tasks of `#service`: the first so many. An array that is emptied gives its memory back each time. */
  readonly #counted: number[] = []
  #countedCount = 0
  /** How many services were asked for by looking at every node. */
  #scans = 0
  /** By service the nodes with tasks of it, and some that had: made when many services are asked for one after the other. */
  #byService: Map<ServiceName, number[]> | null = null

  constructor(picture: Picture) {
    const seen = [...picture.values()]
    if (!isSorted(seen)) seen.sort((a, b) => (a.node.name < b.node.name ? -1 : 1))
    this.seen = seen
    this.#sums = new Float64Array(seen.length * SUMS)
    this.sizes = new Int32Array(seen.length)
    const figures = newFigures(seen.length)
    this.figures = { low: figures, high: figures }
    for (let index = 0; index < seen.length; index++) {
      this.#indexes.set(seen[index]!.node.name, index)
      this.#read(index)
      this.#reckon(index)
    }
  }

  get count(): number {
    return this.seen.length
  }

  indexOf(name: NodeName): number {
    return this.#indexes.get(name) ?? -1
  }

  /** Whether there is so much of CPU and memory; minus infinity asks for nothing. */
  hasRoom(index: number, cpuCores: number, memoryBytes: number): boolean {
    const { cpuFree, memoryFree } = this.figures.high
    return cpuFree[index]! >= cpuCores && memoryFree[index]! >= memoryBytes
  }

  /** One more task of the service that `askFor` named. Adds as `hold` does, so that both come to the same sums. */
  take(index: number, need: Need, promised: Need): void {
    const sums = this.#sums
    const at = index * SUMS
    sums[at + CPU_NEED]! += need.cpuCores
    sums[at + MEMORY_NEED]! += need.memoryBytes
    sums[at + CPU_UNMEASURED]! += need.cpuCores
    sums[at + MEMORY_UNMEASURED]! += need.memoryBytes
    sums[at + CPU_PROMISED]! += promised.cpuCores
    sums[at + MEMORY_PROMISED]! += promised.memoryBytes
    const own = this.figures.low.ownTasks[index]!
    if (own === 0 && this.#service !== null) this.#byService?.get(this.#service)?.push(index)
    this.#count(index, own + 1)
    this.#reckon(index)
    this.taken.push(index)
  }

  /** The node as if something had changed there, for asking what would follow. Keepers of `taken` are not told. */
  replace(index: number, seen: NodePicture): void {
    this.seen[index] = seen
    this.#byService = null
    this.#count(index, this.#service === null ? 0 : (seen.tasksByService.get(this.#service) ?? 0))
    this.#read(index)
    this.#reckon(index)
  }

  /** Makes `ownTasks` those of the service. Most services of which a first task is placed have none. */
  askFor(service: ServiceName): void {
    if (service === this.#service) return
    const { ownTasks } = this.figures.low
    for (let at = 0; at < this.#countedCount; at++) ownTasks[this.#counted[at]!] = 0
    this.#countedCount = 0
    this.#service = service
    if (!this.seen[0]?.cluster.tasksByService.has(service)) return
    if (this.#byService === null && ++this.#scans > SCANS_MAX) this.#byService = this.#indexServices()
    if (this.#byService === null) for (let index = 0; index < this.count; index++) this.#countOf(service, index)
    else for (const index of listIn(this.#byService, service)) this.#countOf(service, index)
  }

  #countOf(service: ServiceName, index: number): void {
    const own = this.seen[index]!.tasksByService.get(service)
    if (own !== undefined) this.#count(index, own)
  }

  #indexServices(): Map<ServiceName, number[]> {
    const byService = new Map<ServiceName, number[]>()
    for (const [index, { tasksByService }] of this.seen.entries()) {
      for (const service of tasksByService.keys()) listIn(byService, service).push(index)
    }
    return byService
  }

  #count(index: number, own: number): void {
    const { ownTasks } = this.figures.low
    if (ownTasks[index] === 0) this.#counted[this.#countedCount++] = index
    ownTasks[index] = own
  }

  #read(index: number): void {
    const { node, room, need, needUnmeasured, cpuCoresPromised, memoryBytesPromised } = this.seen[index]!
    const { inventory, loadHistory } = node
    const { sharePerCore, sharePerByte, loadPerCore, loadPerByte, pressure } = this.figures.low
    this.sizes[index] = sizeStep(room.cpuCores / CORES_LEAST) * SIZE_STEPS + sizeStep(room.memoryBytes / BYTES_LEAST)
    sharePerCore[index] = shareOfOne(room.cpuCores)
    sharePerByte[index] = shareOfOne(room.memoryBytes)
    loadPerCore[index] = shareOfOne(inventory?.cpuCores ?? 0)
    loadPerByte[index] = shareOfOne(inventory?.memoryBytes ?? 0)
    pressure[index] = loadHistory.peak?.pressure ?? 0
    // A node never measured counts with what all its tasks are assumed to need.
    const unmeasured = loadHistory.peak === null ? need : needUnmeasured
    this.#sums.set(
      [
        need.cpuCores,
        need.memoryBytes,
        unmeasured.cpuCores,
        unmeasured.memoryBytes,
        cpuCoresPromised,
        memoryBytesPromised,
        room.cpuCores,
        room.memoryBytes,
        loadHistory.peak?.cpu ?? 0,
        loadHistory.peak?.memory ?? 0,
      ],
      index * SUMS,
    )
  }

  #reckon(index: number): void {
    const figures = this.figures.low
    const sums = this.#sums
    const from = index * SUMS
    const cpu = sums[from + CPU_NEED]! * figures.sharePerCore[index]!
    const memory = sums[from + MEMORY_NEED]! * figures.sharePerByte[index]!
    figures.cpuShare[index] = cpu
    figures.memoryShare[index] = memory
    figures.scarcestShare[index] = Math.max(cpu, memory)
    // As the checks of CPU and memory reckon it.
    figures.cpuFree[index] = sums[from + CPU_ROOM]! - sums[from + CPU_PROMISED]! + CORES_ROUNDING
    figures.memoryFree[index] = sums[from + MEMORY_ROOM]! - sums[from + MEMORY_PROMISED]!
    const cpuLoad = sums[from + CPU_PEAK]! + sums[from + CPU_UNMEASURED]! * figures.loadPerCore[index]!
    const memoryLoad = sums[from + MEMORY_PEAK]! + sums[from + MEMORY_UNMEASURED]! * figures.loadPerByte[index]!
    figures.cpuLoad[index] = cpuLoad
    figures.memoryLoad[index] = memoryLoad
    figures.busiestLoad[index] = Math.max(cpuLoad, memoryLoad)
  }
}

/** Making the index costs about as much as so many looks at all nodes. */
const SCANS_MAX = 16

function listIn(byService: Map<ServiceName, number[]>, service: ServiceName): number[] {
  const known = byService.get(service)
  if (known) return known
  const list: number[] = []
  byService.set(service, list)
  return list
}

const SUMS = 10
const CPU_NEED = 0
const MEMORY_NEED = 1
const CPU_UNMEASURED = 2
const MEMORY_UNMEASURED = 3
const CPU_PROMISED = 4
const MEMORY_PROMISED = 5
const CPU_ROOM = 6
const MEMORY_ROOM = 7
const CPU_PEAK = 8
const MEMORY_PEAK = 9

/** Half a doubling is a step: of CPU from a quarter of a core to more than 10,000, of memory from 64 MiB to more than 2 TiB. */
const SIZE_STEPS = 32
const CORES_LEAST = 0.25
const BYTES_LEAST = 64 * 1024 * 1024
export const SIZES = SIZE_STEPS * SIZE_STEPS

function sizeStep(timesLeast: number): number {
  return Math.min(SIZE_STEPS - 1, Math.round(2 * Math.log2(Math.max(1, timesLeast))))
}

/** Of nothing, one more is more than anybody has. */
const SHARE_OF_NOTHING = 1e6

function shareOfOne(room: number): number {
  return room > 0 ? 1 / room : SHARE_OF_NOTHING
}

function isSorted(seen: readonly NodePicture[]): boolean {
  for (let index = 1; index < seen.length; index++) {
    if (seen[index]!.node.name < seen[index - 1]!.node.name) return false
  }
  return true
}
