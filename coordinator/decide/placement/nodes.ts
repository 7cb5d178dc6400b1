/**
 * The nodes of a picture in columns: what policies and the two commonest checks read, as typed arrays, so that looking at
 * a node costs a few loads and allocates nothing. In the order of the nodes' names, which settles what is equal otherwise.
 */
import type { NodeName, ServiceName } from '../../world.ts'
import { CORES_ROUNDING } from '../checks/cpu.ts'
import type { NodePicture, Picture } from '../picture.ts'
import { FIGURE_NAMES, type FigureName, type Figures, type Interval } from '../policies/policy.ts'

export class Nodes {
  /** By index. */
  readonly seen: readonly NodePicture[]
  readonly figures: Figures
  /** What the checks of CPU and memory find free; see there. */
  readonly cpuFree: Float64Array
  readonly memoryFree: Float64Array
  /** Indexes of nodes in the order in which they took tasks: who keeps something derived catches up from here. */
  readonly taken: number[] = []
  readonly #cpuRoom: Float64Array
  readonly #memoryRoom: Float64Array
  readonly #indexes = new Map<NodeName, number>()
  #service: ServiceName | null = null
  /** Those with `ownTasks` of `#service`. */
  readonly #counted: number[] = []

  constructor(picture: Picture) {
    const seen = [...picture.values()]
    if (!isSorted(seen)) seen.sort((a, b) => (a.node.name < b.node.name ? -1 : 1))
    this.seen = seen
    this.figures = columnsFor(seen.length)
    this.cpuFree = new Float64Array(seen.length)
    this.memoryFree = new Float64Array(seen.length)
    this.#cpuRoom = new Float64Array(seen.length)
    this.#memoryRoom = new Float64Array(seen.length)
    for (let index = 0; index < seen.length; index++) {
      this.#indexes.set(seen[index]!.node.name, index)
      this.#measure(index)
      this.refresh(index)
    }
  }

  get count(): number {
    return this.seen.length
  }

  indexOf(name: NodeName): number {
    return this.#indexes.get(name) ?? -1
  }

  /** Reads anew what tasks change; call after the picture's node took one. */
  refresh(index: number): void {
    const { figures } = this
    const seen = this.seen[index]!
    this.cpuFree[index] = this.#cpuRoom[index]! - seen.cpuCoresPromised + CORES_ROUNDING
    this.memoryFree[index] = this.#memoryRoom[index]! - seen.memoryBytesPromised
    const cpu = seen.need.cpuCores * figures.sharePerCore.low[index]!
    const memory = seen.need.memoryBytes * figures.sharePerByte.low[index]!
    figures.tasks.low[index] = seen.taskCount
    figures.cpuShare.low[index] = cpu
    figures.memoryShare.low[index] = memory
    figures.scarcestShare.low[index] = Math.max(cpu, memory)
    this.#refreshLoad(index, seen)
  }

  /** After one more task of the service that `askFor` named. */
  took(index: number): void {
    this.#count(index, this.figures.ownTasks.low[index]! + 1)
    this.refresh(index)
    this.taken.push(index)
  }

  /** Makes `ownTasks` those of the service. */
  askFor(service: ServiceName): void {
    if (service === this.#service) return
    for (const index of this.#counted) this.figures.ownTasks.low[index] = 0
    this.#counted.length = 0
    this.#service = service
    if (!this.#hasTasks(service)) return
    for (let index = 0; index < this.count; index++) {
      const own = this.seen[index]!.tasksByService.get(service)
      if (own !== undefined) this.#count(index, own)
    }
  }

  #count(index: number, own: number): void {
    if (this.figures.ownTasks.low[index] === 0) this.#counted.push(index)
    this.figures.ownTasks.low[index] = own
  }

  /** Most services of which a first task is placed have none; then there is nothing to count. */
  #hasTasks(service: ServiceName): boolean {
    return (this.seen[0]?.cluster.tasksByService.get(service) ?? 0) > 0
  }

  #measure(index: number): void {
    const { node, room } = this.seen[index]!
    this.#cpuRoom[index] = room.cpuCores
    this.#memoryRoom[index] = room.memoryBytes
    this.figures.sharePerCore.low[index] = shareOfOne(room.cpuCores)
    this.figures.sharePerByte.low[index] = shareOfOne(room.memoryBytes)
    this.figures.loadPerCore.low[index] = shareOfOne(node.inventory?.cpuCores ?? 0)
    this.figures.loadPerByte.low[index] = shareOfOne(node.inventory?.memoryBytes ?? 0)
  }

  /** A node never measured counts with what its tasks are assumed to need. */
  #refreshLoad(index: number, { node, need, needUnmeasured }: NodePicture): void {
    const { figures } = this
    const { peak } = node.loadHistory
    const more = peak === null ? need : needUnmeasured
    const cpu = (peak?.cpu ?? 0) + more.cpuCores * figures.loadPerCore.low[index]!
    const memory = (peak?.memory ?? 0) + more.memoryBytes * figures.loadPerByte.low[index]!
    figures.cpuLoad.low[index] = cpu
    figures.memoryLoad.low[index] = memory
    figures.busiestLoad.low[index] = Math.max(cpu, memory)
    figures.pressure.low[index] = peak?.pressure ?? 0
  }
}

/** Of nothing, one more is more than anybody has. */
const SHARE_OF_NOTHING = 1e6

function shareOfOne(room: number): number {
  return room > 0 ? 1 / room : SHARE_OF_NOTHING
}

/** For nodes low and high are one array: a node's figure is what it is. */
function columnsFor(count: number): Figures {
  const figures = {} as Record<FigureName, Interval>
  for (const name of FIGURE_NAMES) {
    const column = new Float64Array(count)
    figures[name] = { low: column, high: column }
  }
  return figures
}

function isSorted(seen: readonly NodePicture[]): boolean {
  for (let index = 1; index < seen.length; index++) {
    if (seen[index]!.node.name < seen[index - 1]!.node.name) return false
  }
  return true
}
