/** Which events somebody asked for: the same answer for the history and for what happens. */
import type { EventFilter } from './core.ts'
import type { EventRecord } from './world.ts'

/** True for each event when nothing is named. */
export function isAskedFor(event: EventRecord, { stack, service, node, type, since }: EventFilter): boolean {
  if (node !== undefined && event.node !== node) return false
  if (service !== undefined && event.service !== service) return false
  // A stack's name holds no underscore, so STACK_SERVICE splits one way only.
  if (stack !== undefined && event.service?.split('_', 1)[0] !== stack) return false
  if (since !== undefined && event.at < since) return false
  return type === undefined || type.split(',').some((wanted) => isOfType(event.kind, wanted.trim()))
}

/** `task-failed`, or with a star at the end all that begin so: `node-*`. */
function isOfType(kind: string, wanted: string): boolean {
  return wanted.endsWith('*') ? kind.startsWith(wanted.slice(0, -1)) : kind === wanted
}
