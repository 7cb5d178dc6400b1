/**
 * What differs between a world and what a forecast made of it, unit by unit: a unit is what a service wants one task for (a slot, or
 * a node for a global one). Only services that the forecast decided about, or that had tasks on nodes that it lost, are looked at.
 */
import { hasEnded } from '../../shared/task-state.ts'
import { hashOf } from '../decide/service-facts.ts'
import { hasCompleted, isUp } from '../decide/task-facts.ts'
import { betterTask } from '../decide/units.ts'
import type { Decision, NodeName, PlacementReason, Refusal, ServiceName, Task, TaskId, World } from '../world.ts'
import type { Forecast } from './forecast.ts'

export type UnitChange = {
  service: ServiceName
  slot: number
  kind:
    | 'place' // there was none
    | 'replace' // by one of another version
    | 'move' // the same on another node
    | 'stop' // it is not wanted any more
    | 'wait' // one is wanted, and no node takes it; there was none before
    | 'displace' // there was one, and no node takes the one that would follow
  from: NodeName | null
  to: NodeName | null
  /** Ids, before and after. */
  taskBefore: TaskId | null
  taskAfter: TaskId | null
  /** Why the task before is stopped, or why the task after is made. */
  why: string | null
  /** Of the placement. */
  reason: PlacementReason | null
  refusals: readonly Refusal[]
}

/** In the order of services and slots. */
export function differencesOf(before: World, seen: Forecast): UnitChange[] {
  const told = reasonsIn(seen.beats)
  const services = [...servicesConcerned(before, seen)].sort()
  return services.flatMap((service) => {
    const was = unitsOf(before, service)
    const is = unitsOf(seen.world, service)
    const keys = [...new Set([...was.keys(), ...is.keys()])]
    const changes = keys.map((key) => changeOf(before, seen.world, was.get(key), is.get(key), told))
    return changes.filter((change) => change !== null).sort((a, b) => a.slot - b.slot || compareNodes(a, b))
  })
}

function compareNodes(a: UnitChange, b: UnitChange): number {
  const [first, second] = [a.from ?? a.to ?? '', b.from ?? b.to ?? '']
  return first < second ? -1 : first > second ? 1 : 0
}

function servicesConcerned(before: World, { values, world, beats }: Forecast): Set<ServiceName> {
  const names = new Set<ServiceName>()
  for (const value of values) {
    if (!('decision' in value) || value.decision.kind !== 'set-node-status') continue
    for (const task of before.tasksByNode.get(value.decision.node) ?? []) names.add(task.service)
  }
  for (const decisions of beats) {
    for (const decision of decisions) {
      if ('service' in decision) names.add(decision.service)
      else if ('task' in decision) {
        const service = (before.tasks.get(decision.task) ?? world.tasks.get(decision.task))?.service
        if (service !== undefined) names.add(service)
      }
    }
  }
  return names
}

type Told = { why: Map<TaskId, string>; placed: Map<TaskId, PlacementReason> }

function reasonsIn(beats: readonly Decision[][]): Told {
  const told: Told = { why: new Map(), placed: new Map() }
  for (const decision of beats.flat()) {
    if (decision.kind === 'place-task') told.placed.set(decision.task, decision.why)
    // A task that is stopped is forgotten later, and only the first of the two says why.
    else if ('task' in decision && 'why' in decision && !told.why.has(decision.task)) {
      told.why.set(decision.task, decision.why)
    }
  }
  return told
}

// ---------------------------------------------------------------- units

/** The task that stands for each unit: of those that are to run the best one. */
function unitsOf(world: World, service: ServiceName): Map<string, Task> {
  const units = new Map<string, Task>()
  for (const task of world.tasksByService.get(service) ?? []) {
    if (task.desired !== 'running' || isLeftBehind(world, task)) continue
    const key = task.slot > 0 ? String(task.slot) : `@${task.node ?? task.onlyNode}`
    const other = units.get(key)
    if (!other || betterTask(task, other) < 0) units.set(key, task)
  }
  return units
}

/** What was on a lost node runs no more, whatever was last heard of it. What has ended before stays as it was. */
function isLeftBehind(world: World, task: Task): boolean {
  if (task.node === null || hasEnded(task.observed.state)) return false
  const status = world.nodes.get(task.node)?.status.name
  return status === undefined || status === 'lost'
}

function changeOf(
  before: World,
  after: World,
  was: Task | undefined,
  is: Task | undefined,
  { why, placed }: Told,
): UnitChange | null {
  if (was?.id === is?.id && was?.node === is?.node) return null
  const task = is ?? was
  if (!task) return null
  const change = {
    service: task.service,
    slot: task.slot,
    from: was?.node ?? null,
    to: is?.node ?? null,
    taskBefore: was?.id ?? null,
    taskAfter: is?.id ?? null,
    why: (was && why.get(was.id)) ?? (is && why.get(is.id)) ?? null,
    reason: (is && placed.get(is.id)) ?? null,
    refusals: is?.waitsFor ?? [],
  }
  if (!is) return { ...change, kind: isWantedStill(after, task) ? 'displace' : 'stop' }
  const had = was !== undefined && was.node !== null
  if (is.node === null) return { ...change, kind: had ? 'displace' : 'wait' }
  if (!had) return { ...change, kind: 'place' }
  return { ...change, kind: hashIn(before, was) === hashIn(after, is) ? 'move' : 'replace' }
}

function hashIn(world: World, task: Task): string | null {
  const service = world.services.get(task.service)
  return service ? hashOf(service, task) : null
}

/** Its node is away and nothing takes its place, since its data is there (or it belongs to that node alone). */
function isWantedStill(world: World, { id, slot }: Task): boolean {
  const left = world.tasks.get(id)
  return left !== undefined && left.desired === 'running' && slot > 0
}

// ---------------------------------------------------------------- what works

/** How many tasks of a service are up, on nodes that are there. A job that has completed is done, wherever it was. */
export function tasksUp(world: World, service: ServiceName): Task[] {
  return [...(world.tasksByService.get(service) ?? [])].filter(
    (task) => task.desired === 'running' && isUp(task) && !hasCompleted(task) && !isLeftBehind(world, task),
  )
}
