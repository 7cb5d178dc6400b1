/**
 * One service: what is wanted against what there is, as decisions. Called once per beat for each service worth a look;
 * where its new tasks go is asked of the scheduler afterwards, for all services together.
 */
import { hasEnded } from '../../shared/task-state.ts'
import type { NodeName, Service, ServiceVersion, Task } from '../world.ts'
import { type Beat, create, forget, statusOf, stop } from './beat.ts'
import { refusalOf } from './checks/all.ts'
import { isFailedByNode, judgeFailing } from './failing.ts'
import { globalUnits } from './global.ts'
import { nodePicture } from './picture.ts'
import { judgeRelease } from './release.ts'
import { replicatedUnits } from './replicated.ts'
import { turnAwayReturned } from './returned.ts'
import { judgeFailures, judgeFinished, mayReplace, replaceAllowance, rolloutConfig } from './rollout.ts'
import { hasNamedVolume, rollbackVersionOf, targetVersionOf } from './service-facts.ts'
import { hasBegun, hasMadeGood, holdsRoom, isUp } from './task-facts.ts'
import { isHome, isLeaving, mustMove, type Unit, whyLeaving } from './units.ts'

export function reconcile(beat: Beat, given: Service): void {
  const found = tidy(beat, given)
  if (given.removing) {
    remove(beat, given, found)
    return
  }
  const tasks = turnAwayReturned(beat, given, found)
  let service = judgeRelease(beat, given)
  service = judgeFailing(beat, service, tasks)
  service = judgeFailures(beat, service, tasks)
  const target = targetVersionOf(service)
  if (target) {
    const { units, surplus } =
      target.spec.mode.kind === 'global'
        ? globalUnits(beat, service, target, tasks)
        : replicatedUnits(beat, service, target, tasks)
    for (const { task, why } of surplus) stop(beat, task, why)
    man(beat, service, target, units)
    service = judgeFinished(beat, service, units)
  }
  forgetVersions(beat, service, tasks)
  beat.services.set(service.name, service)
}

// ---------------------------------------------------------------- what is over

/** Forgets what is over and returns the tasks that are left, in the order of their ids. */
function tidy(beat: Beat, service: Service): Task[] {
  const tasks = [...(beat.world.tasksByService.get(service.name) ?? [])]
  tasks.sort((a, b) => (a.id < b.id ? -1 : 1))
  for (const task of tasks) {
    if (task.preempted && !hasMadeGood(task)) beat.preempted.set(`${service.name}.${task.slot}`, task.preempted)
  }
  return tasks.filter((task) => {
    const why = whyOver(beat, task, service.removing)
    if (why !== null) forget(beat, task, why)
    return why === null
  })
}

/** Null: it is not over. */
function whyOver(beat: Beat, task: Task, isRemoving: boolean): string | null {
  if (task.observed.state === 'stopped') return 'stopped'
  if (task.node === null) return task.desired === 'stopped' ? 'it never had a node' : null
  const status = statusOf(beat, task.node)
  const mustStop = task.desired === 'stopped' || isRemoving
  // A job that has completed is not run again because its node has left.
  if (!status) return task.observed.state === 'completed' && !mustStop ? null : 'its node is no longer a member'
  return mustStop && status.name === 'lost' ? 'its node is lost' : null
}

function remove(beat: Beat, service: Service, tasks: Task[]): void {
  for (const task of tasks) if (task.desired === 'running') stop(beat, task, 'the service is removed')
  if (tasks.some((task) => !beat.forgotten.has(task.id))) return
  beat.decisions.push({ kind: 'forget-service', service: service.name })
}

/**
 * Kept are the wanted version, where a rollback would go, what tasks run (also those made in this beat, for one that is lost may be
 * replaced at its own version), and the highest number (never used twice).
 */
function forgetVersions(beat: Beat, service: Service, tasks: Task[]): void {
  const { rollout } = service
  const kept = new Set([service.version, rollout.version, Math.max(...service.versions.keys())])
  if ('from' in rollout && rollout.from !== null) kept.add(rollout.from)
  if ('failed' in rollout) kept.add(rollout.failed)
  const back = rollbackVersionOf(service)
  if (back) kept.add(back.version)
  for (const task of tasks) if (!beat.forgotten.has(task.id)) kept.add(task.version)
  for (const version of beat.created.get(service.name) ?? []) kept.add(version)
  for (const version of service.versions.keys()) {
    if (!kept.has(version)) beat.decisions.push({ kind: 'forget-version', service: service.name, version })
  }
}

// ---------------------------------------------------------------- each unit gets its task

function man(beat: Beat, service: Service, target: ServiceVersion, units: Unit[]): void {
  const isFrozen = service.rollout.state === 'paused' || service.release.state === 'held'
  for (const unit of units) if (!isFrozen) thinOut(beat, unit)
  for (const unit of units) {
    if (unit.fresh.length + unit.stale.length > 0) dropOutdatedAway(beat, service, target, unit)
  }
  const order = hasNamedVolume(target.spec) ? 'stop-first' : rolloutConfig(service).order
  const toReplace: Unit[] = []
  let allowance = replaceAllowance(beat, service, units)
  for (const unit of units) {
    const isLeft = isFrozen && hasOutdated(service, target, unit) && !unit.fresh.some(isUp)
    if (isLeft) moveUnchanged(beat, service, target, unit)
    if (unit.fresh.length > 0) keep(beat, service, target, unit)
    else if (unit.stale.length > 0) isLeft || toReplace.push(unit)
    else if (unit.away[0]) {
      const version = isFrozen ? ownVersionOf(service, target, unit.away[0]) : target
      replaceLost(beat, service, target, version, unit, order)
    } else fill(beat, service, target, unit, order)
  }
  // What does not work is replaced first: it costs nothing to lose. Then what its node is to be emptied of.
  const urgency = (unit: Unit) =>
    isWorking(unit) ? (unit.stale.some((task) => isLeaving(beat, service, task)) ? 1 : 2) : 0
  toReplace.sort((a, b) => urgency(a) - urgency(b) || a.slot - b.slot)
  for (const unit of toReplace) {
    if (!hasOutdated(service, target, unit)) moveUnit(beat, service, target, unit, order, units)
    else if (allowance > 0) {
      allowance -= 1
      replace(beat, service, target, unit, order, `version ${target.version}`)
    }
  }
}

/**
 * Deployed faster than rolled out, a unit may have stale tasks of several versions. One of them, the best, bridges the
 * time until the wanted one is up; the others, and any that only waits for a node, have no use any more.
 */
function thinOut(beat: Beat, unit: Unit): void {
  const [bridge, ...useless] = unit.stale
  if (!bridge) return
  if (bridge.node === null) useless.unshift(bridge)
  for (const task of useless) stop(beat, task, 'its version is no longer wanted')
  unit.stopping.push(...useless.filter((task) => task.node !== null && !hasEnded(task.observed.state)))
  unit.stale = bridge.node === null ? [] : [bridge]
}

/** Of the tasks on lost nodes only those of the wanted kind may be of use when their node returns. */
function dropOutdatedAway(beat: Beat, service: Service, target: ServiceVersion, unit: Unit): void {
  const outdated = unit.away.filter((task) => isOutdatedTask(service, target, task))
  for (const task of outdated) stop(beat, task, 'its node is lost and its version no longer wanted')
  unit.away = unit.away.filter((task) => !outdated.includes(task))
}

/** The unit has its task. Others for it are surplus (a lost node came back); those it replaces go once it is up. */
function keep(beat: Beat, service: Service, target: ServiceVersion, unit: Unit): void {
  const [keeper, ...others] = unit.fresh
  if (!keeper) return
  for (const task of others) stop(beat, task, `surplus: ${keeper.id} has its place`)
  for (const task of unit.stale) if (mayGo(beat, service, keeper, task)) stop(beat, task, `replaced by ${keeper.id}`)
  if (keeper.node !== null) return
  request(beat, service, target, unit.slot, keeper)
  if (unit.stale.length > 0) beat.makeRoom.set(keeper.id, unit.stale)
}

/** Once the keeper is up. What does not work and is to leave its node goes before: it would keep the node from emptying. */
function mayGo(beat: Beat, service: Service, keeper: Task, replaced: Task): boolean {
  if (mayReplace(beat, service, keeper)) return true
  return hasBegun(keeper) && isLeaving(beat, service, replaced) && !isUp(replaced)
}

/**
 * A rollout that stands still (paused, or held by a dependency) replaces nothing, and its tasks of older versions go on. But
 * a drained node empties all the same (and one with a taint that they do not tolerate): they move as they are, since the wanted version is what has failed or may not start
 * yet (docs/decisions/drain-while-paused.md).
 */
function moveUnchanged(beat: Beat, service: Service, target: ServiceVersion, unit: Unit): void {
  const leaving = unit.stale.filter((task) => mustLeave(beat, service, task))
  const [keeper, ...others] = unit.stale.filter((task) => !leaving.includes(task))
  const [first, ...rest] = leaving
  if (keeper) {
    for (const task of [...leaving, ...others]) {
      if (mayGo(beat, service, keeper, task)) stop(beat, task, `moved: ${keeper.id} has its place`)
    }
    const version = ownVersionOf(service, target, keeper)
    if (keeper.node === null) request(beat, service, version, unit.slot, keeper)
  } else if (first) {
    const version = ownVersionOf(service, target, first)
    // One that was to take over and is not up has no use on a node that is emptied, too.
    for (const task of rest) if (!isUp(task)) stop(beat, task, `moved: ${task.node} is to be emptied as well`)
    add(beat, service, version, unit, whyLeaving(beat, version, first) ?? `${first.node} is drained`)
  }
}

/** What has ended holds no node up. */
function mustLeave(beat: Beat, service: Service, task: Task): boolean {
  const own = service.versions.get(task.version)
  return own !== undefined && !hasEnded(task.observed.state) && mustMove(beat, service, own, task)
}

function ownVersionOf(service: Service, target: ServiceVersion, task: Task): ServiceVersion {
  return isOutdatedTask(service, target, task) ? (service.versions.get(task.version) ?? target) : target
}

/** Its data is on the lost node, or it is bound to that node: then it waits for the node. Else it gets another one. */
function replaceLost(
  beat: Beat,
  service: Service,
  target: ServiceVersion,
  version: ServiceVersion,
  unit: Unit,
  order: string,
): void {
  if (order === 'stop-first' && unit.stopping.length > 0) return
  if (unit.onlyNode !== null || unit.away.some((task) => isHome(service, target, task))) return
  add(beat, service, version, unit, `${unit.away[0]?.node} is lost`)
  dropOutdatedAway(beat, service, target, unit)
}

/** Nothing is there. After a stop-first replacement the next one starts when the last one is gone. */
function fill(beat: Beat, service: Service, target: ServiceVersion, unit: Unit, order: string): void {
  if (order === 'stop-first' && unit.stopping.length > 0) return
  add(beat, service, target, unit, `wanted by version ${target.version}`)
}

function replace(beat: Beat, service: Service, target: ServiceVersion, unit: Unit, order: string, why: string): void {
  if (order === 'stop-first') {
    for (const task of unit.stale) stop(beat, task, `replaced: ${why}`)
    // What has ended already is not waited for.
    const isOver = unit.stopping.length === 0 && unit.stale.every((task) => hasEnded(task.observed.state))
    if (isOver) add(beat, service, target, unit, why)
    return
  }
  const task = add(beat, service, target, unit, why)
  beat.makeRoom.set(task, unit.stale)
}

/**
 * Its task moves as it is. One that works is not given up before another is up (docs/decisions/drain-starts-first.md). One that its
 * node keeps failing goes in the service's own order; where it is to stop first, one at a time, and only when there is room elsewhere:
 * better to fail here than to wait.
 */
function moveUnit(
  beat: Beat,
  service: Service,
  target: ServiceVersion,
  unit: Unit,
  order: string,
  units: readonly Unit[],
): void {
  const why = whyMoved(beat, target, unit)
  const isFailed = unit.stale.some((task) => isFailedByNode(target, task))
  if (!isFailed || order !== 'stop-first') replace(beat, service, target, unit, 'start-first', why)
  else if (!units.some((one) => isBetween(beat, one)) && hasRoomElsewhere(beat, service, target, unit))
    replace(beat, service, target, unit, 'stop-first', why)
}

/** Its task is told to stop, maybe only in this beat, and the next one is not made yet. */
function isBetween({ ended }: Beat, { fresh, stale, away, stopping }: Unit): boolean {
  return (
    fresh.length + away.length === 0 && stale.length + stopping.length > 0 && stale.every(({ id }) => ended.has(id))
  )
}

function hasRoomElsewhere({ world }: Beat, service: Service, version: ServiceVersion, { slot }: Unit): boolean {
  const request = { task: '', service, version, slot, onlyNode: null, waitsFor: [] }
  return world.nodes.values().some((node) => refusalOf(request, nodePicture(world, node, holdsRoom)) === null)
}

function add(beat: Beat, service: Service, target: ServiceVersion, unit: Unit, why: string): string {
  const { slot } = unit
  const preempted = beat.preempted.get(`${service.name}.${slot}`) ?? null
  const onlyNode = unit.onlyNode ?? moveTarget(beat, service, target, unit)
  const task = create(beat, service, { slot, version: target.version, onlyNode, preempted }, why)
  request(beat, service, target, slot, { id: task, onlyNode, waitsFor: [] })
  return task
}

function request(
  beat: Beat,
  service: Service,
  version: ServiceVersion,
  slot: number,
  { id, onlyNode, waitsFor }: Pick<Task, 'id' | 'onlyNode' | 'waitsFor'>,
): void {
  beat.requests.push({ task: id, service, version, slot, onlyNode, waitsFor })
}

/** Where a rebalance wants the unit's task; a drain or a new version is not bound to that. */
function moveTarget(beat: Beat, service: Service, target: ServiceVersion, { stale }: Unit): NodeName | null {
  const leaving = stale.find((task) => task.moveTo !== undefined && !isOutdatedTask(service, target, task))
  const node = leaving?.node == null ? undefined : beat.world.nodes.get(leaving.node)
  return node?.availability === 'active' ? (leaving?.moveTo ?? null) : null
}

/** Of another task hash. One that failed for good at an older version counts too when it is asked to try again. */
function isOutdatedTask(service: Service, target: ServiceVersion, task: Task): boolean {
  return service.versions.get(task.version)?.taskHash !== target.taskHash
}

function hasOutdated(service: Service, target: ServiceVersion, unit: Unit): boolean {
  return unit.stale.some((task) => isOutdatedTask(service, target, task))
}

function isWorking(unit: Unit): boolean {
  return unit.stale.some(isUp)
}

function whyMoved(beat: Beat, target: ServiceVersion, unit: Unit): string {
  const task = unit.stale[0]
  if (!task) return 'another try'
  const why = whyLeaving(beat, target, task)
  if (why === null && task.observed.state === 'failed') return 'another try'
  return why ?? `${task.node} is to be emptied`
}
