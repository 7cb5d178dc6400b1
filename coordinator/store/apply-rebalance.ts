/** Rebalances, written into the World. The loop carries them out move by move. */
import type { Instant } from '../../shared/clock.ts'
import type { NodeName, Rebalance, RebalanceMove, TaskId, World } from '../world.ts'
import { deleteRebalance, putRebalance } from './records.ts'
import type { Write } from './store.ts'

/** More than an hour of moves on the cluster's own account, and what operators asked for of late. */
export const REBALANCES_MAX = 100

type Begun = Pick<Rebalance, 'by' | 'undoes' | 'atOnce'> & { moves: { task: TaskId; to: NodeName }[] }

export function beginRebalance(world: World, { by, undoes, atOnce, moves }: Begun, at: Instant, writes: Write[]): void {
  const number = (world.rebalances.at(-1)?.number ?? 0) + 1
  const rebalance: Rebalance = {
    ...{ number, by, undoes, atOnce },
    ...{ startedAt: at, endedAt: null, state: 'moving', why: null },
    moves: moves.flatMap(({ task, to }) => moveOf(world, task, to)),
  }
  const all = [...world.rebalances, rebalance]
  world.rebalances = all.slice(-REBALANCES_MAX)
  writes.push(putRebalance(rebalance), ...all.slice(0, -REBALANCES_MAX).map(deleteRebalance))
}

export function setRebalance(world: World, rebalance: Rebalance, writes: Write[]): void {
  world.rebalances = world.rebalances.map((known) => (known.number === rebalance.number ? rebalance : known))
  writes.push(putRebalance(rebalance))
}

function moveOf(world: World, id: TaskId, to: NodeName): RebalanceMove[] {
  const task = world.tasks.get(id)
  if (task?.node == null) return []
  const { service, slot, node: from } = task
  return [{ task: id, service, slot, from, to, state: 'waiting', startedAt: null, replacement: null, why: null }]
}
