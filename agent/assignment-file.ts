/**
 * The last complete assignment, kept as one file: what the agent acts on when it starts without a coordinator. A line with the
 * checksum, then the assignment as JSON. A file that cannot be trusted is not acted on; the coordinator's word is awaited.
 */
import { createHash } from 'node:crypto'
import type { TaskSpec } from '../shared/spec.ts'
import type { AssignedTask, Assignment, AssignmentChange } from '../shared/wire/down.ts'
import type { Owner } from './decide/container.ts'
import type { AgentFiles } from './files.ts'
import type { AssignOutcome } from './parts.ts'

export type KeptAssignment = {
  revision: number
  /** Exactly those that `tasks` name. */
  specs: Record<string, TaskSpec>
  tasks: AssignedTask[]
}

export type ReadAssignment =
  | { found: 'assignment'; assignment: KeptAssignment }
  | { found: 'nothing' }
  /** Damaged, or of another cluster or node. */
  | { found: 'unusable'; reason: string }

const FORMAT = 1

export const ASSIGNMENT_FILE = 'assignment'

export async function readAssignment(files: AgentFiles, owner: Owner): Promise<ReadAssignment> {
  const path = files.pathOf(ASSIGNMENT_FILE)
  let text: string | null
  try {
    text = await files.read(ASSIGNMENT_FILE)
  } catch (error) {
    return { found: 'unusable', reason: `${path} cannot be read: ${(error as Error).message}` }
  }
  if (text === null) return { found: 'nothing' }
  const [header = '', body = ''] = splitOnce(text, '\n')
  if (header !== headerOf(body)) return { found: 'unusable', reason: `${path} is damaged: its checksum does not match` }
  const { cluster, node, ...assignment } = JSON.parse(body) as KeptAssignment & Owner
  if (cluster !== owner.cluster || node !== owner.node) {
    return { found: 'unusable', reason: `${path} is for node ${node} of cluster ${cluster}` }
  }
  return { found: 'assignment', assignment }
}

/** Durable when it resolves. */
export async function writeAssignment(files: AgentFiles, owner: Owner, assignment: KeptAssignment): Promise<void> {
  const body = JSON.stringify({ ...owner, ...assignment })
  await files.replace(ASSIGNMENT_FILE, `${headerOf(body)}\n${body}`)
}

export type Applied =
  | { outcome: 'applied'; assignment: KeptAssignment }
  | Exclude<AssignOutcome, { outcome: 'applied' }>

/** What the coordinator said, applied to what is kept. Pure. The same message twice does no harm. */
export function applyMessage(kept: KeptAssignment | null, message: Assignment | AssignmentChange): Applied {
  if (kept && message.revision < kept.revision) {
    return {
      outcome: 'stale',
      reason: `revision ${message.revision} is older than ${kept.revision}, which is in force`,
    }
  }
  if (message.kind === 'assignment') return complete(message.revision, message.specs, message.tasks)
  if (kept && message.revision === kept.revision) {
    return { outcome: 'stale', reason: `revision ${message.revision} is in force already` }
  }
  if (kept?.revision !== message.base) {
    const has = kept ? `revision ${kept.revision}` : 'no assignment'
    return { outcome: 'resync', reason: `the change builds on revision ${message.base}; this agent has ${has}` }
  }
  const removed = new Set([...message.remove, ...message.put.map((task) => task.id)])
  const tasks = [...kept.tasks.filter((task) => !removed.has(task.id)), ...message.put]
  return complete(message.revision, { ...kept.specs, ...message.specs }, tasks)
}

/** Drops specs that no task names; a wanted task whose spec is missing makes the whole unusable. */
function complete(revision: number, known: Record<string, TaskSpec>, tasks: AssignedTask[]): Applied {
  const specs: Record<string, TaskSpec> = {}
  for (const task of tasks) {
    const spec = known[task.spec]
    if (spec) specs[task.spec] = spec
    else if (task.desired === 'running') {
      return { outcome: 'resync', reason: `spec ${task.spec} of task ${task.id} is missing in revision ${revision}` }
    }
  }
  return { outcome: 'applied', assignment: { revision, specs, tasks } }
}

function headerOf(body: string): string {
  return `berth-assignment ${FORMAT} ${createHash('sha256').update(body).digest('hex')}`
}

function splitOnce(text: string, at: string): [string, string] {
  const index = text.indexOf(at)
  return index < 0 ? [text, ''] : [text.slice(0, index), text.slice(index + 1)]
}
