/**
 * Agents with which all goes well, for forecasts: each says in one word that what it was told has come about. What is in trouble
 * now (restarting, unhealthy, failed) stays so: that nothing else goes wrong is assumed, that it heals is not.
 */
import { fullServiceName } from '../../shared/names.ts'
import { saysHealth } from '../../shared/spec.ts'
import { hasEnded } from '../../shared/task-state.ts'
import type { TaskObservation } from '../../shared/wire/up.ts'
import { TIME_MAX } from '../decide/clock-skew.ts'
import { wantedVersionOf } from '../decide/service-facts.ts'
import type { Decision, NodeName, Observation, ServiceName, Task, TaskId, World } from '../world.ts'

export type IdealAgents = {
  /** Remembers whom the decisions give something to do. */
  note(decisions: readonly Decision[]): void
  /** What is to be told now, a message for each node; empty when all is done. */
  say(world: World): Observation[]
}

/** What `base` has on its way already comes about as well. `fork`: the world in which they will speak. */
export function idealAgents(base: World, fork: World): IdealAgents {
  const due = new Set<TaskId>()
  for (const task of base.tasks.values()) if (isOnItsWay(task)) due.add(task.id)
  const meantToEnd = servicesMeantToEnd(fork)

  return {
    note(decisions) {
      for (const decision of decisions) {
        if (decision.kind === 'place-task' || decision.kind === 'stop-task') due.add(decision.task)
      }
    },
    say(world) {
      const messages = new Map<NodeName, Extract<Observation, { kind: 'tasks' }>>()
      for (const id of due) {
        const task = world.tasks.get(id)
        const node = task?.node ? world.nodes.get(task.node) : undefined
        // What stands on a node that is away is told when that is back, which is not now.
        if (!task || !node?.connection || !node.fullyObserved || node.engine?.state !== 'up') continue
        due.delete(id)
        let message = messages.get(node.name)
        if (!message) {
          message = {
            kind: 'tasks',
            node: node.name,
            full: false,
            revision: node.assignmentRevision,
            engine: node.engine,
            tasks: [],
            gone: [],
          }
          messages.set(node.name, message)
        }
        if (task.desired === 'stopped') message.gone.push(id)
        else message.tasks.push(cameUp(world, task, meantToEnd))
      }
      return [...messages.values()]
    },
  }
}

function isOnItsWay({ node, desired, observed }: Task): boolean {
  if (node === null || hasEnded(observed.state)) return false
  const { state, health } = observed
  if (desired === 'stopped') return true
  return (
    state === 'assigned' ||
    state === 'pulling' ||
    state === 'starting' ||
    (state === 'running' && health === 'starting')
  )
}

function cameUp(world: World, task: Task, meantToEnd: ReadonlySet<ServiceName>): TaskObservation {
  const version = world.services.get(task.service)?.versions.get(task.version)
  const isChecked = task.observed.health !== 'none' || (version && saysHealth(version.spec.task.container))
  const ends = meantToEnd.has(task.service)
  return {
    task: task.id,
    spec: version?.taskHash ?? '',
    attempt: Math.max(1, task.observed.attempt),
    state: ends ? 'completed' : 'running',
    // As late as can be said: apply takes what lies ahead for now.
    since: TIME_MAX,
    ...(isChecked && !ends && { health: 'healthy' as const }),
    ...(ends && { exitCode: 0 }),
  }
}

/** Others wait for these to complete. */
function servicesMeantToEnd(world: World): Set<ServiceName> {
  const names = new Set<ServiceName>()
  for (const service of world.services.values()) {
    for (const [shortName, { condition }] of Object.entries(wantedVersionOf(service).spec.dependsOn)) {
      if (condition === 'service_completed_successfully') names.add(fullServiceName(service.stack, shortName))
    }
  }
  return names
}
