/**
 * Which nodes a global service has a task on: each that is a member, not drained, has no taint that the service does not
 * tolerate, and meets platform and constraints.
 */
import { taintText } from '../../shared/taint.ts'
import type { Node, NodeName, Service, ServiceVersion, Task } from '../world.ts'
import { type Beat, statusOf } from './beat.ts'
import { isEligible, isInviting } from './checks/all.ts'
import { emptyPicture } from './picture.ts'
import type { Wanted } from './replicated.ts'
import { hashOf } from './service-facts.ts'
import { untolerated } from './taints.ts'
import { addToUnit, newUnit, sortUnit, type Unit } from './units.ts'

export function globalUnits(beat: Beat, service: Service, target: ServiceVersion, tasks: Task[]): Wanted {
  const byNode = new Map<NodeName, Unit>()
  const surplus: Wanted['surplus'] = []
  for (const node of beat.world.nodes.values()) {
    if (wantsTask(beat, service, target, node, tasks)) byNode.set(node.name, newUnit(0, node.name))
  }
  for (const task of tasks) {
    const node = task.node ?? task.onlyNode
    const unit = node === null ? undefined : byNode.get(node)
    if (isWaitingForLost(beat, task)) surplus.push({ task, why: `${task.onlyNode} is lost` })
    else if (unit) addToUnit(beat, service, target, unit, task)
    else if (task.desired === 'running' && !isRecord(beat, task)) {
      surplus.push({ task, why: whyNot(beat, target, task) })
    }
  }
  for (const unit of byNode.values()) sortUnit(unit)
  const units = [...byNode.values()].filter((unit) => isThere(beat, unit))
  units.sort((a, b) => ((a.onlyNode ?? '') < (b.onlyNode ?? '') ? -1 : 1))
  return { units, surplus }
}

/**
 * The lasting reasons only: a node that is full or away for a moment still is one of the service's nodes. One that has been
 * tainted `no-schedule` since keeps the task that it has, until another version is wanted.
 */
function wantsTask(beat: Beat, service: Service, version: ServiceVersion, node: Node, tasks: Task[]): boolean {
  if (statusOf(beat, node.name)?.name === 'joining') return false
  const request = { task: '', service, version, slot: 0, onlyNode: node.name, waitsFor: [] }
  const seen = emptyPicture(node)
  return (
    isInviting(request, seen) ||
    (isEligible(request, seen) && tasks.some((task) => isKept(service, version, node, task)))
  )
}

function isKept(service: Service, version: ServiceVersion, node: Node, task: Task): boolean {
  return task.node === node.name && task.desired === 'running' && hashOf(service, task) === version.taskHash
}

/** A lost node's task is made anew when it returns; until then there is nothing to wait for. */
function isWaitingForLost(beat: Beat, task: Task): boolean {
  return task.node === null && task.onlyNode !== null && statusOf(beat, task.onlyNode)?.name === 'lost'
}

/**
 * A node without a task that is not ready either gets none until it is. Nor does a lost one where all has ended get another version
 * before it returns: that would wait for a node that nobody waits for.
 */
function isThere(beat: Beat, { onlyNode, fresh, stale, away, stopping }: Unit): boolean {
  if (fresh.length + away.length + stopping.length > 0) return true
  const status = onlyNode === null ? undefined : statusOf(beat, onlyNode)?.name
  return stale.length > 0 ? status !== 'lost' : status === 'ready'
}

/** What completed on a node that has left since is kept as a record, and runs nothing. */
function isRecord({ world }: Beat, task: Task): boolean {
  return task.observed.state === 'completed' && task.node !== null && !world.nodes.has(task.node)
}

function whyNot({ world }: Beat, { spec }: ServiceVersion, task: Task): string {
  const node = world.nodes.get(task.node ?? task.onlyNode ?? '')
  if (!node) return 'its node is no longer a member'
  if (node.availability === 'drain') return `${node.name} is drained`
  const taint = untolerated(node.taints, spec.placement, ['no-schedule', 'no-execute'])
  return taint ? `${node.name} is tainted ${taintText(taint)}` : `${node.name} no longer meets the constraints`
}
