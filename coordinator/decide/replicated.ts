/** Which slots a replicated service has: as many as it wants, keeping the best; new ones take the lowest free numbers. */
import type { Service, ServiceVersion, Task } from '../world.ts'
import type { Beat } from './beat.ts'
import { addToUnit, newUnit, rank, sortUnit, type Unit } from './units.ts'

export type Wanted = {
  units: Unit[]
  /** Tasks that no unit wants any more, with the reason. */
  surplus: { task: Task; why: string }[]
}

export function replicatedUnits(beat: Beat, service: Service, target: ServiceVersion, tasks: Task[]): Wanted {
  const replicas = target.spec.mode.kind === 'replicated' ? target.spec.mode.replicas : 0
  const bySlot = new Map<number, Unit>()
  const unplaced = tasks.filter(isOfGlobal)
  let slotless = 0
  for (const task of tasks) {
    if (isOfGlobal(task)) continue
    // Left from when the service was global: they bridge the first slots, as many as there are.
    const slot = task.slot === 0 ? ++slotless : task.slot
    const unit = bySlot.get(slot) ?? newUnit(slot, null)
    bySlot.set(slot, unit)
    addToUnit(beat, service, target, unit, task)
  }
  for (const unit of bySlot.values()) sortUnit(unit)
  const manned = [...bySlot.values()].filter(isManned)
  if (manned.length > replicas) manned.sort(moreWorthKeeping)
  const units = manned.slice(0, replicas)
  units.push(...newUnits(replicas - units.length, bySlot))
  const why = `scaled to ${replicas}`
  const surplus = manned.slice(replicas).flatMap((unit) => tasksOf(unit).map((task) => ({ task, why })))
  for (const task of unplaced) surplus.push({ task, why: `${service.name} is no longer global` })
  units.sort((a, b) => a.slot - b.slot)
  return { units, surplus }
}

/** It waits for the one node that it was made for, where any would do now. */
function isOfGlobal({ slot, node, desired }: Task): boolean {
  return slot === 0 && node === null && desired === 'running'
}

/** A slot with only stopping tasks is free again, and taken first: it may be in the middle of a stop-first replacement. */
function newUnits(count: number, bySlot: Map<number, Unit>): Unit[] {
  const leaving = [...bySlot.values()].filter((unit) => !isManned(unit) && unit.stopping.length > 0)
  leaving.sort((a, b) => a.slot - b.slot)
  const units = leaving.slice(0, Math.max(0, count))
  const taken = new Set([...bySlot.values()].filter((unit) => isManned(unit)).map((unit) => unit.slot))
  for (const unit of units) taken.add(unit.slot)
  for (let slot = 1; units.length < count; slot += 1) {
    if (!taken.has(slot)) units.push(bySlot.get(slot) ?? newUnit(slot, null))
  }
  return units
}

function isManned({ fresh, stale, away }: Unit): boolean {
  return fresh.length + stale.length + away.length > 0
}

function tasksOf(unit: Unit): Task[] {
  return [...unit.fresh, ...unit.stale, ...unit.away]
}

/** When scaling down, waiting tasks go first, then those that are not up, then the highest slots. */
function moreWorthKeeping(a: Unit, b: Unit): number {
  return unitRank(a) - unitRank(b) || a.slot - b.slot
}

function unitRank(unit: Unit): number {
  const ranks = [...unit.fresh, ...unit.stale].map(keepRank)
  return ranks.length === 0 ? KEEP_RANK.onItsWay : Math.min(...ranks)
}

function keepRank(task: Task): number {
  const { up, onItsWay, waiting } = KEEP_RANK
  return [up, onItsWay, waiting, onItsWay][rank(task)] ?? onItsWay
}

const KEEP_RANK = { up: 0, onItsWay: 1, waiting: 2 }
