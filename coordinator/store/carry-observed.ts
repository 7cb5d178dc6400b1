/** After the world was read again from the store: what agents have told since they connected, and would not repeat. */
import type { Node, NodeName, Task, TaskId, World } from '../world.ts'
import { putAssignmentRevision, putNode, putTask } from './records.ts'
import type { Write } from './store.ts'

type Gone = { forgotten: ReadonlyMap<TaskId, Task>; removed: ReadonlyMap<NodeName, Node> }

/**
 * Carries what was observed from one world to another; returns the writes that store it. `gone`: what `from` has
 * forgotten or removed since; what was heard of it nobody would say again.
 */
export function carryObserved(from: World, to: World, gone: Gone): Write[] {
  const writes: Write[] = []
  to.usageByService = from.usageByService
  for (const [name, node] of to.nodes) {
    const known = gone.removed.get(name) ?? from.nodes.get(name)
    if (known === undefined) continue
    carryNode(known, node)
    writes.push(putNode(node))
    // Its agent has seen a higher one (see `connected`); what else was raised meanwhile was told nobody.
    if (node.appliedRevision > node.assignmentRevision) {
      node.assignmentRevision = node.appliedRevision + 1
      writes.push(putAssignmentRevision(node))
    }
  }
  for (const [id, task] of to.tasks) {
    const known = from.tasks.get(id) ?? gone.forgotten.get(id)
    // Placed elsewhere or not at all: what was seen was not of this placement.
    if (known === undefined || known.node !== task.node) continue
    task.observed = known.observed
    task.firstUpAt = known.firstUpAt
    writes.push(putTask(task))
  }
  return writes
}

function carryNode(known: Node, node: Node): void {
  node.agentLabels = known.agentLabels
  node.inventory = known.inventory
  node.engine = known.engine
  node.engineSince = known.engineSince
  node.connection = known.connection
  node.load = known.load
  node.loadHistory = known.loadHistory
  node.usageSampledAt = known.usageSampledAt
  node.containerLoads = known.containerLoads
  node.heard = known.heard
  node.fullyObserved = known.fullyObserved
  node.agentVersion = known.agentVersion
  node.clockSkewMs = known.clockSkewMs
  node.appliedRevision = known.appliedRevision
  // A closed connection is observed, not decided.
  if (known.status.name === 'disconnected') node.status = known.status
}
