/** What an operator should look at, worst first. A pure reading of the world. */
import type { Problem, ServiceDocument } from '../../shared/api.ts'
import type { Instant } from '../../shared/clock.ts'
import { isPast } from '../decide/task-facts.ts'
import type { Node, Task, World } from '../world.ts'
import { isAway } from './counts.ts'
import { whatIsWrong } from './progress.ts'
import { taskName } from './view-task.ts'
import { roughDuration } from './words.ts'

const problemsMax = 100
const clockSkewMsMax = 30_000
/** A container that was started again this often is not merely starting. */
const attemptsTelling = 3

export function problemsOf(world: World, services: ServiceDocument[], now: Instant): Problem[] {
  const problems: Problem[] = []
  for (const node of world.nodes.values()) problems.push(...nodeProblems(node, now))
  const waits = longestWaits(world)
  for (const service of services) problems.push(...serviceProblems(service, waits.get(service.name), now))
  for (const task of wrongTasks(world)) {
    if (problems.length >= problemsMax) break
    const problem = taskProblem(world, task)
    if (problem) problems.push(problem)
  }
  return problems.slice(0, problemsMax)
}

function nodeProblems(node: Node, now: Instant): Problem[] {
  const problems: Problem[] = []
  const { status } = node
  if ('why' in status) {
    problems.push({
      kind: `node-${status.name}`,
      node: node.name,
      message: `node ${node.name} is ${status.name} since ${roughDuration(now - status.since)}: ${status.why}`,
      hint:
        status.name === 'engine-down'
          ? `journalctl -u docker on ${node.name}`
          : `journalctl -u berth-agent on ${node.name}`,
    })
  }
  if (Math.abs(node.clockSkewMs) > clockSkewMsMax) {
    const side = node.clockSkewMs > 0 ? 'ahead of' : 'behind'
    problems.push({
      kind: 'clock-skew',
      node: node.name,
      message: `the clock of node ${node.name} is ${roughDuration(Math.abs(node.clockSkewMs))} ${side} the coordinator's`,
      hint: 'set up time synchronisation there',
    })
  }
  return problems
}

/** Those of which something may be wrong. */
function* wrongTasks(world: World): Iterable<Task> {
  if (!world.tally) return yield* world.tasks.values()
  for (const id of world.tally.wrong) {
    const task = world.tasks.get(id)
    if (task) yield task
  }
}

type Wait = { since: Instant; why: string | null }

/** Of each service the task that has waited longest, and why nobody makes room for it, once that was said. */
function longestWaits(world: World): Map<string, Wait> {
  const waits = new Map<string, Wait>()
  for (const { service, createdAt, waitTold } of world.tasksWaiting) {
    const known = waits.get(service)
    const why = waitTold?.why ?? known?.why ?? null
    waits.set(service, { since: Math.min(createdAt, known?.since ?? createdAt), why })
  }
  return waits
}

function serviceProblems(service: ServiceDocument, wait: Wait | undefined, now: Instant): Problem[] {
  const problems: Problem[] = []
  const { rollout, counts, waits } = service
  if (rollout.state === 'paused' || rollout.state === 'rolling-back' || rollout.state === 'rolled-back') {
    problems.push({
      kind: `rollout-${rollout.state}`,
      service: service.name,
      message: `${service.name} is ${rollout.state.replace('-', ' ')}: ${rollout.why ?? 'no reason given'}`,
      hint: `berth why ${service.name}`,
    })
  }
  if (counts.waiting > 0 && waits.length > 0) {
    const reason = waits[0]!
    const where = reason.nodes.length > 0 ? ` (${reason.nodes.slice(0, 3).join(', ')})` : ''
    problems.push({
      kind: 'tasks-waiting',
      service: service.name,
      message: `${counts.waiting} of ${counts.wanted} tasks of ${service.name} wait for a node: ${reason.message}${where}${waitWords(wait, now)}`,
      hint: `berth why ${service.name}`,
    })
  }
  return problems
}

function waitWords(wait: Wait | undefined, now: Instant): string {
  if (!wait) return ''
  return `; since ${roughDuration(now - wait.since)}${wait.why === null ? '' : `: ${wait.why}`}`
}

function taskProblem(world: World, task: Task): Problem | null {
  if (isPast(task) || isAway(world, task) || task.desired !== 'running') return null
  const wrong = whatIsWrong(task)
  if (!wrong) return null
  const { state, attempt } = task.observed
  const often = attempt >= attemptsTelling ? `, attempt ${attempt}` : ''
  return {
    kind: state === 'running' ? 'task-unhealthy' : `task-${state}`,
    task: task.id,
    service: task.service,
    ...(task.node === null ? {} : { node: task.node }),
    message: `${taskName(task)}${task.node === null ? '' : ` on ${task.node}`} ${wrong}${often}`,
    hint: `berth logs ${taskName(task)}`,
  }
}
