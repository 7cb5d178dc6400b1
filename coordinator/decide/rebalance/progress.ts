/**
 * A rebalance on its way: a few moves at a time, each start-first (the replacement is up before the old task stops), no new
 * one after the first that fails. Everything is read from the tasks, so a coordinator that starts half-way goes on from there.
 */
import { canonicalJson } from '../../../shared/spec.ts'
import type { Rebalance, RebalanceMove, Task } from '../../world.ts'
import { type Beat, statusOf, stop, wakeBy } from '../beat.ts'
import { hold, type Picture, pictureOf } from '../picture.ts'
import { wantedVersionOf } from '../service-facts.ts'
import { hasFailed, holdsRoom, isUp, troubleOf } from '../task-facts.ts'
import { refusalAt } from './fit.ts'
import { whyNotMovable } from './movable.ts'

/** A replacement that is not up by then is given up. */
export const MOVE_LIMIT_MS = 5 * 60_000

export function advanceRebalance(beat: Beat): void {
  const given = beat.world.rebalances.at(-1)
  if (given?.state !== 'moving') return
  const rebalance: Rebalance = { ...given, moves: given.moves.map((move) => ({ ...move })) }
  for (const move of rebalance.moves) if (move.state === 'moving') follow(beat, rebalance, move)
  if (rebalance.why === null) begin(beat, rebalance)
  else for (const move of waiting(rebalance)) end(move, 'skipped', 'an earlier move failed')
  if (rebalance.moves.every(({ state }) => state !== 'waiting' && state !== 'moving')) {
    rebalance.state = rebalance.why === null ? 'done' : 'stopped'
    rebalance.endedAt = beat.now
  }
  if (canonicalJson(rebalance) !== canonicalJson(given)) beat.decisions.push({ kind: 'set-rebalance', rebalance })
}

function waiting({ moves }: Rebalance): RebalanceMove[] {
  return moves.filter(({ state }) => state === 'waiting')
}

function end(move: RebalanceMove, state: 'done' | 'failed' | 'skipped', why: string | null): void {
  move.state = state
  move.why = why
}

// ---------------------------------------------------------------- those on their way

function follow(beat: Beat, rebalance: Rebalance, move: RebalanceMove): void {
  const old = beat.world.tasks.get(move.task)
  const replacements = replacementsOf(beat, move)
  const replacement = replacements.find(isUp) ?? replacements[0] ?? null
  const limitAt = (move.startedAt ?? beat.now) + MOVE_LIMIT_MS
  if (replacement && isUp(replacement)) {
    move.replacement = replacement.id
    end(move, 'done', null)
  } else if (isChanging(beat, move)) {
    giveUp(beat, move, old, 'skipped', `${move.service} is being changed`)
  } else if (!replacement && (!old || old.desired === 'stopped')) {
    end(move, 'skipped', `${move.task} is no longer wanted`)
  } else {
    const why = whatIsWrong(beat, move, replacement) ?? (beat.now < limitAt ? null : notUpInTime(move))
    if (why === null) wakeBy(beat, limitAt)
    else fail(beat, rebalance, move, old, replacements, why)
  }
}

function isChanging({ world }: Beat, move: RebalanceMove): boolean {
  const service = world.services.get(move.service)
  if (!service || service.removing) return true
  return service.rollout.state !== 'settled' && service.rollout.state !== 'rolled-back'
}

function notUpInTime({ to }: RebalanceMove): string {
  return `was not up on ${to} within ${MOVE_LIMIT_MS / 60_000} minutes`
}

function fail(
  beat: Beat,
  rebalance: Rebalance,
  move: RebalanceMove,
  old: Task | undefined,
  replacements: Task[],
  why: string,
): void {
  rebalance.why ??= `${move.service}.${move.slot}: ${replacements[0]?.id ?? 'its replacement'} ${why}`
  for (const task of replacements) stop(beat, task, `the move to ${move.to} failed`)
  giveUp(beat, move, old, 'failed', why)
}

/** The old task stays where it is. */
function giveUp(
  beat: Beat,
  move: RebalanceMove,
  old: Task | undefined,
  state: 'failed' | 'skipped',
  why: string,
): void {
  end(move, state, why)
  if (old?.moveTo !== undefined) beat.decisions.push({ kind: 'move-task', task: old.id, to: null, why })
}

/** Another one is made when the first is on a host that is lost. */
function replacementsOf(beat: Beat, move: RebalanceMove): Task[] {
  const isReplacement = (task: Task) =>
    task.slot === move.slot &&
    task.id !== move.task &&
    task.onlyNode === move.to &&
    task.createdAt >= (move.startedAt ?? 0) &&
    task.desired === 'running'
  return [...(beat.world.tasksByService.get(move.service) ?? [])].filter(isReplacement)
}

function whatIsWrong(beat: Beat, { to }: RebalanceMove, task: Task | null): string | null {
  const status = statusOf(beat, to)
  if (status === null) return `has no node: ${to} is no longer a member`
  if (status.name === 'lost') return `has no node: ${to} is lost`
  if (!task) return null
  const trouble = troubleOf(task)
  if (hasFailed(task) || trouble) return `on ${task.node} ${trouble?.why ?? 'failed'}`
  const [refusal] = task.node === null ? task.waitsFor : []
  return refusal ? `found no room: ${refusal.check}` : null
}

// ---------------------------------------------------------------- the next ones

function begin(beat: Beat, rebalance: Rebalance): void {
  let moving = rebalance.moves.filter(({ state }) => state === 'moving').length
  let picture: Picture | null = null
  for (const move of waiting(rebalance)) {
    if (moving >= rebalance.atOnce) return
    picture ??= pictureWithThoseOnTheirWay(beat, rebalance)
    const why = whyNot(beat, move, picture)
    if (why !== null) {
      // In their order: what was planned for later may need what this one leaves.
      if (awaitsRoom(beat, rebalance, move)) return
      end(move, 'skipped', why)
      continue
    }
    promise(beat, move, picture)
    moving += 1
    move.state = 'moving'
    move.startedAt = beat.now
    wakeBy(beat, beat.now + MOVE_LIMIT_MS)
    const { task, from, to } = move
    beat.decisions.push({ kind: 'move-task', task, to, why: `rebalanced from ${from} to ${to}` })
  }
}

/** Also a replacement that has no node yet will need its room. */
function pictureWithThoseOnTheirWay(beat: Beat, { moves }: Rebalance): Picture {
  const picture = pictureOf(beat.world)
  for (const move of moves) {
    const isUnplaced = move.state === 'moving' && !replacementsOf(beat, move).some(({ node }) => node !== null)
    if (isUnplaced && picture.has(move.to)) promise(beat, move, picture)
  }
  return picture
}

/** The world may have changed since the plan was made. */
function whyNot({ world }: Beat, move: RebalanceMove, picture: Picture): string | null {
  const task = world.tasks.get(move.task)
  const service = world.services.get(move.service)
  if (!task || !service) return `${move.task} is no longer there`
  if (task.node !== move.from) return `${move.task} is no longer on ${move.from}`
  const why = whyNotMovable(world, task)
  if (why !== null) return why
  if (!picture.has(move.to)) return `${move.to} is no longer a member`
  const refusal = refusalAt(world, picture, task, move.to)
  return refusal ? `${move.to} cannot take it any more: ${refusal.check}` : null
}

/** Room that the next ones of this beat are not promised as well. */
function promise({ world }: Beat, { service: name, task, to }: RebalanceMove, picture: Picture): void {
  const service = world.services.get(name)!
  hold(picture.get(to)!, task, name, wantedVersionOf(service))
}

/**
 * Whether an earlier move is still about to leave the node that this one goes to: a plan is made in the picture that each move
 * leaves. That it takes no longer than a move may take bounds the wait.
 */
function awaitsRoom(beat: Beat, { moves }: Rebalance, { to }: RebalanceMove): boolean {
  const leaving = moves.find(({ from, task, state, startedAt }) => {
    if (from !== to || (state !== 'moving' && state !== 'done')) return false
    const old = beat.world.tasks.get(task)
    return old !== undefined && holdsRoom(old) && beat.now < (startedAt ?? 0) + MOVE_LIMIT_MS
  })
  if (leaving) wakeBy(beat, (leaving.startedAt ?? 0) + MOVE_LIMIT_MS)
  return leaving !== undefined
}
