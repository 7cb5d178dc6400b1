/** Whether a rebalance, or taking one back, may begin: the world must still be what the operator saw. */
import {
  REBALANCE_AT_ONCE_MAX as AT_ONCE_MAX,
  REBALANCE_MOVES_MAX as MOVES_MAX,
} from '../../../shared/api/rebalance.ts'
import type { Change, NodeName, Rebalance, TaskId, World } from '../../world.ts'
import { type Admission, admitted, refused } from '../admission.ts'
import { unfitMoves } from './fit.ts'
import { whyNotMovable } from './movable.ts'

export function admitRebalance(world: World, { moves, atOnce }: Extract<Change, { kind: 'rebalance' }>): Admission {
  if (moves.length === 0) return refused('invalid-request', 'no move is named; `berth rebalance` shows a plan')
  if (moves.length > MOVES_MAX) {
    return refused('invalid-request', `${moves.length} moves are more than the ${MOVES_MAX} of one rebalance`)
  }
  const twice = moves.find(({ task }, index) => moves.findIndex((other) => other.task === task) !== index)
  if (twice) return refused('invalid-request', `${twice.task} is named twice`, { task: twice.task })
  return atOnceOutOfRange(atOnce) ?? underWay(world) ?? whyNotAny(world, moves) ?? admitted()
}

export function admitUndo(world: World, { atOnce }: Extract<Change, { kind: 'undo-rebalance' }>): Admission {
  const no = atOnceOutOfRange(atOnce) ?? underWay(world)
  if (no) return no
  const last = undoable(world)
  if (!last) return refused('conflict', 'there is no rebalance to take back: none has moved a task')
  const moved = movedOn(world, last)
  if (moved.length === 0) return admitted()
  const what = moved.slice(0, SHOWN_MAX).join('; ')
  const more = moved.length > SHOWN_MAX ? `; and ${moved.length - SHOWN_MAX} more` : ''
  const message = `rebalance ${last.number} cannot be taken back, the world has moved on: ${what}${more}. Nothing was changed; \`berth rebalance\` makes a new plan`
  return refused('conflict', message, { rebalance: last.number, movedOn: moved.slice(0, MOVES_MAX) })
}

const SHOWN_MAX = 3

/** The latest that moved anything, unless it has been taken back. An undo can be undone. */
export function undoable(world: World): Rebalance | null {
  const last = world.rebalances.findLast(({ moves }) => moves.some(({ state }) => state === 'done'))
  return last ?? null
}

/** What an undo moves back: the last first, as a move may have taken the room that an earlier one left. */
export function movesBack({ moves }: Rebalance): { task: TaskId; to: NodeName }[] {
  const back = moves.flatMap(({ state, replacement, from }) =>
    state === 'done' && replacement !== null ? [{ task: replacement, to: from }] : [],
  )
  return back.reverse()
}

/** What is in the way of taking all of it back, each as a sentence without its end. */
function movedOn(world: World, rebalance: Rebalance): string[] {
  const words: string[] = []
  for (const { state, replacement, to, from } of rebalance.moves) {
    if (state !== 'done' || replacement === null) continue
    const task = world.tasks.get(replacement)
    if (!task || task.node !== to) words.push(`${replacement} is no longer on ${to}`)
    else if (!world.nodes.has(from)) words.push(`${from} is no longer a member`)
    else {
      const why = whyNotMovable(world, task)
      if (why !== null) words.push(`${replacement}: ${why}`)
    }
  }
  if (words.length > 0) return words
  return unfitMoves(world, movesBack(rebalance)).map(
    ({ task, to, refusal }) => `${to} cannot take ${task} back: ${refusal.check}`,
  )
}

function whyNotAny(world: World, moves: { task: TaskId; to: NodeName }[]): Admission | null {
  for (const { task: id, to } of moves) {
    const task = world.tasks.get(id)
    if (!task) return changed(`there is no task ${id} any more`, { task: id })
    if (!world.nodes.has(to)) return refused('node-not-found', `there is no node ${to}`, { node: to })
    if (task.node === to) return changed(`${id} is on ${to} already`, { task: id })
    const why = whyNotMovable(world, task)
    if (why !== null) return changed(`${id} cannot be moved: ${why}`, { task: id })
  }
  const [unfit] = unfitMoves(world, moves)
  return unfit ? changed(`${unfit.to} cannot take ${unfit.task}: ${unfit.refusal.check}`, unfit) : null
}

function changed(what: string, details: Record<string, unknown>): Admission {
  return refused('conflict', `${what}; nothing was changed. \`berth rebalance\` makes a new plan`, details)
}

function atOnceOutOfRange(atOnce: number): Admission | null {
  if (Number.isInteger(atOnce) && atOnce >= 1 && atOnce <= AT_ONCE_MAX) return null
  return refused('invalid-request', `${atOnce} moves at once; give a whole number from 1 to ${AT_ONCE_MAX}`, { atOnce })
}

function underWay(world: World): Admission | null {
  const last = world.rebalances.at(-1)
  if (last?.state !== 'moving') return null
  const left = last.moves.filter(({ state }) => state === 'waiting' || state === 'moving').length
  return refused(
    'conflict',
    `rebalance ${last.number} is under way, ${left} moves left; \`berth rebalance\` follows it`,
    {
      rebalance: last.number,
    },
  )
}
