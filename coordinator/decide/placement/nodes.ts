/**
 * The nodes of a picture as rows of numbers: what policies and the two commonest checks read, so that looking at a node
 * costs a few loads from one or two cache lines and allocates nothing. In the order of the nodes' names, which settles
 * what is equal otherwise.
 */
import type { NodeName, ServiceName } from '../../world.ts'
import { CORES_ROUNDING } from '../checks/cpu.ts'
import type { NodePicture, Picture } from '../picture.ts'
import {
  BUSIEST_LOAD,
  CPU_FREE,
  CPU_LOAD,
  CPU_SHARE,
  LOAD_PER_BYTE,
  LOAD_PER_CORE,
  MEMORY_FREE,
  MEMORY_LOAD,
  MEMORY_SHARE,
  type Need,
  OWN_TASKS,
  PRESSURE,
  ROW,
  type Rows,
  SCARCEST_SHARE,
  SHARE_PER_BYTE,
  SHARE_PER_CORE,
} from '../policies/policy.ts'

export class Nodes {
  /** By index. */
  readonly seen: NodePicture[]
  /** For nodes low and high are one array: a node's figure is what it is. */
  readonly rows: Rows
  /** Indexes of nodes in the order in which they took tasks: who keeps something derived catches up from here. */
  readonly taken: number[] = []
  /** What the rows are reckoned from, in rows of their own. */
  readonly #sums: Float64Array
  readonly #indexes = new Map<NodeName, number>()
  #service: ServiceName | null = null
  /** Those with tasks of `#service`. */
  readonly #counted: number[] = []
  /** How many services were asked for by looking at every node. */
  #scans = 0
  /** By service the nodes with tasks of it, and some that had: made when many services are asked for one after the other. */
  #byService: Map<ServiceName, number[]> | null = null

  constructor(picture: Picture) {
    const seen = [...picture.values()]
    if (!isSorted(seen)) seen.sort((a, b) => (a.node.name < b.node.name ? -1 : 1))
    this.seen = seen
    this.#sums = new Float64Array(seen.length * SUMS)
    const rows = new Float64Array(seen.length * ROW)
    this.rows = { low: rows, high: rows }
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
    const { high } = this.rows
    return high[index * ROW + CPU_FREE]! >= cpuCores && high[index * ROW + MEMORY_FREE]! >= memoryBytes
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
    const own = this.rows.low[index * ROW + OWN_TASKS]!
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

  /** Makes `OWN_TASKS` those of the service. Most services of which a first task is placed have none. */
  askFor(service: ServiceName): void {
    if (service === this.#service) return
    for (const index of this.#counted) this.rows.low[index * ROW + OWN_TASKS] = 0
    this.#counted.length = 0
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
    if (this.rows.low[index * ROW + OWN_TASKS] === 0) this.#counted.push(index)
    this.rows.low[index * ROW + OWN_TASKS] = own
  }

  #read(index: number): void {
    const { node, room, need, needUnmeasured, cpuCoresPromised, memoryBytesPromised } = this.seen[index]!
    const { inventory, loadHistory } = node
    const row = this.rows.low
    const at = index * ROW
    row[at + SHARE_PER_CORE] = shareOfOne(room.cpuCores)
    row[at + SHARE_PER_BYTE] = shareOfOne(room.memoryBytes)
    row[at + LOAD_PER_CORE] = shareOfOne(inventory?.cpuCores ?? 0)
    row[at + LOAD_PER_BYTE] = shareOfOne(inventory?.memoryBytes ?? 0)
    row[at + PRESSURE] = loadHistory.peak?.pressure ?? 0
    row[at + CPU_PEAK] = loadHistory.peak?.cpu ?? 0
    row[at + MEMORY_PEAK] = loadHistory.peak?.memory ?? 0
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
      ],
      index * SUMS,
    )
  }

  #reckon(index: number): void {
    const row = this.rows.low
    const sums = this.#sums
    const at = index * ROW
    const from = index * SUMS
    const cpu = sums[from + CPU_NEED]! * row[at + SHARE_PER_CORE]!
    const memory = sums[from + MEMORY_NEED]! * row[at + SHARE_PER_BYTE]!
    row[at + CPU_SHARE] = cpu
    row[at + MEMORY_SHARE] = memory
    row[at + SCARCEST_SHARE] = Math.max(cpu, memory)
    // As the checks of CPU and memory reckon it.
    row[at + CPU_FREE] = sums[from + CPU_ROOM]! - sums[from + CPU_PROMISED]! + CORES_ROUNDING
    row[at + MEMORY_FREE] = sums[from + MEMORY_ROOM]! - sums[from + MEMORY_PROMISED]!
    const cpuLoad = row[at + CPU_PEAK]! + sums[from + CPU_UNMEASURED]! * row[at + LOAD_PER_CORE]!
    const memoryLoad = row[at + MEMORY_PEAK]! + sums[from + MEMORY_UNMEASURED]! * row[at + LOAD_PER_BYTE]!
    row[at + CPU_LOAD] = cpuLoad
    row[at + MEMORY_LOAD] = memoryLoad
    row[at + BUSIEST_LOAD] = Math.max(cpuLoad, memoryLoad)
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

const SUMS = 8
const CPU_NEED = 0
const MEMORY_NEED = 1
const CPU_UNMEASURED = 2
const MEMORY_UNMEASURED = 3
const CPU_PROMISED = 4
const MEMORY_PROMISED = 5
const CPU_ROOM = 6
const MEMORY_ROOM = 7
/** What is left of the rows. */
const CPU_PEAK = 14
const MEMORY_PEAK = 15

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
