/** Which nodes a global service has a task on: each that is a member, not drained, and meets platform and constraints. */
import type { Node, NodeName, Service, ServiceVersion, Task } from '../world.ts'
import { type Beat, statusOf } from './beat.ts'
import { isEligible } from './checks/all.ts'
import { emptyPicture } from './picture.ts'
import type { Wanted } from './replicated.ts'
import { addToUnit, newUnit, sortUnit, type Unit } from './units.ts'

export function globalUnits(beat: Beat, service: Service, target: ServiceVersion, tasks: Task[]): Wanted {
  const byNode = new Map<NodeName, Unit>()
  const surplus: Wanted['surplus'] = []
  for (const node of beat.world.nodes.values()) {
    if (wantsTask(beat, service, target, node)) byNode.set(node.name, newUnit(0, node.name))
  }
  for (const task of tasks) {
    const node = task.node ?? task.onlyNode
    const unit = node === null ? undefined : byNode.get(node)
    if (isWaitingForLost(beat, task)) surplus.push({ task, why: `${task.onlyNode} is lost` })
    else if (unit) addToUnit(beat, service, target, unit, task)
    else if (task.desired === 'running' && !isRecord(beat, task)) surplus.push({ task, why: whyNot(beat, task) })
  }
  for (const unit of byNode.values()) sortUnit(unit)
  const units = [...byNode.values()].filter((unit) => isThere(beat, unit))
  units.sort((a, b) => ((a.onlyNode ?? '') < (b.onlyNode ?? '') ? -1 : 1))
  return { units, surplus }
}

/** The lasting reasons only: a node that is full or away for a moment still is one of the service's nodes. */
function wantsTask(beat: Beat, service: Service, version: ServiceVersion, node: Node): boolean {
  if (statusOf(beat, node.name)?.name === 'joining') return false
  const request = { task: '', service, version, slot: 0, onlyNode: node.name, waitsFor: [] }
  return isEligible(request, emptyPicture(node))
}

/** A lost node's task is made anew when it returns; until then there is nothing to wait for. */
function isWaitingForLost(beat: Beat, task: Task): boolean {
  return task.node === null && task.onlyNode !== null && statusOf(beat, task.onlyNode)?.name === 'lost'
}

/** A node without a task that is not ready either gets none until it is. */
function isThere(beat: Beat, unit: Unit): boolean {
  if (unit.fresh.length + unit.stale.length + unit.away.length + unit.stopping.length > 0) return true
  return unit.onlyNode !== null && statusOf(beat, unit.onlyNode)?.name === 'ready'
}

/** What completed on a node that has left since is kept as a record, and runs nothing. */
function isRecord({ world }: Beat, task: Task): boolean {
  return task.observed.state === 'completed' && task.node !== null && !world.nodes.has(task.node)
}

function whyNot({ world }: Beat, task: Task): string {
  const node = world.nodes.get(task.node ?? task.onlyNode ?? '')
  if (!node) return 'its node is no longer a member'
  return node.availability === 'drain' ? `${node.name} is drained` : `${node.name} no longer meets the constraints`
}
