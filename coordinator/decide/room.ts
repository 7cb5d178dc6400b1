/**
 * How much of a node may be promised: what it has, times its overcommit factors, less its system reserve. The one place
 * that says so: checks, placement, questions and views all ask here.
 */
import type { GenericResources } from '../../shared/spec.ts'
import type { Amounts, Node } from '../world.ts'

/** Never negative. */
export type Room = Amounts & { generic: GenericResources }

/** With nothing promised yet; nothing at all of a node whose agent has not told its inventory. */
export function roomOf({ inventory, reserve, overcommit }: Pick<Node, 'inventory' | 'reserve' | 'overcommit'>): Room {
  if (!inventory) return { cpuCores: 0, memoryBytes: 0, diskBytes: 0, generic: {} }
  return {
    cpuCores: Math.max(0, inventory.cpuCores * overcommit.cpu - reserve.cpuCores),
    memoryBytes: Math.max(0, Math.floor(inventory.memoryBytes * overcommit.memory) - reserve.memoryBytes),
    diskBytes: Math.max(0, Math.floor((inventory.diskBytes ?? 0) * overcommit.disk) - reserve.diskBytes),
    generic: inventory.generic ?? {},
  }
}
