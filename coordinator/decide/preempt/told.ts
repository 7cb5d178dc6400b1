/** Why somebody was stopped for somebody, and why nobody was, in words. */
import type { Preempted, Refusal, TaskId } from '../../world.ts'
import { priorityOf } from '../priority.ts'
import type { PlaceRequest } from '../requests.ts'
import type { Preemption } from './preempt.ts'

/** `preempted by shop_api.7.2f (priority 75) for memory 512 MiB` */
export function preemptedBy({ by, byPriority, lacked }: Pick<Preempted, 'by' | 'byPriority' | 'lacked'>): string {
  return `preempted by ${by} (priority ${byPriority}) for ${whatFor(lacked)}`
}

/** What the node lacked, with what was asked of it. */
export function whatFor({ check, figures }: Refusal): string {
  const { neededBytes, neededCores, needed, resource, port, protocol } = figures
  if (typeof neededBytes === 'number') return `${check} ${size(neededBytes)}`
  if (typeof neededCores === 'number') return `${Math.round(neededCores * 100) / 100} CPU`
  if (check === 'host-port') return `host port ${port}/${protocol}`
  if (typeof needed === 'number') return `${needed} ${resource ?? check}`
  return check
}

export function whyNominated(task: TaskId, priority: number, node: string, victims: readonly TaskId[]): string {
  if (victims.length === 0) return `${task} gets the room that tasks leave on ${node}`
  const what = victims.length === 1 ? 'a task' : `${victims.length} tasks`
  const named = victims.slice(0, NAMES_MAX).join(', ') + (victims.length > NAMES_MAX ? ', …' : '')
  return `${task} (priority ${priority}) gets room on ${node}: ${what} of lower priority stopped for it (${named})`
}

const NAMES_MAX = 5

/** `no lower priority to preempt`: why a task that waits takes nobody's room. */
export function whyNobody(request: PlaceRequest, why: Extract<Preemption, { option: null }>['why']): string {
  switch (why) {
    case 'off':
      return 'preemption is off for this cluster'
    case 'unheard':
      return 'nodes have yet to be heard since the coordinator started'
    case 'no-lower':
      return `no lower priority to preempt where it could go (its own is ${priorityOf(request.service)})`
    case 'budget':
      return 'the services of lower priority can spare no more tasks (their preemption budgets)'
    case 'neighbour':
      return 'nobody is stopped for a task that must run beside another'
    case 'moved':
      return 'nobody is stopped for a task that is only moved to a better place'
    case 'too-little':
      return 'stopping all tasks of lower priority would not make room enough on any node'
  }
}

function size(bytes: number): string {
  const gib = bytes / 2 ** 30
  return gib >= 1 ? `${Math.round(gib * 100) / 100} GiB` : `${Math.round((bytes / 2 ** 20) * 10) / 10} MiB`
}
