/** `GET /v1/rebalance`: what would be moved, and the last rebalance; `POST`: moves it; `…/undo`: takes the last one back. */
import type { FastifyInstance } from 'fastify'
import {
  ChangeAnswer,
  LastRebalanceAnswer,
  RebalanceAnswer,
  RebalanceBody,
  type RebalanceDocument,
  RebalanceQuery,
  UndoBody,
} from '../../../shared/api.ts'
import { planRebalance } from '../../decide/rebalance/plan.ts'
import type { Rebalance, World } from '../../world.ts'
import type { RouteParts } from '../api.ts'

const MOVES_DEFAULT = 20
const AT_ONCE_DEFAULT = 2

export function rebalanceRoutes(api: FastifyInstance, { core, clock }: RouteParts): void {
  const look = {
    summary: 'Which moves would make the cluster better, and the last rebalance; nothing is changed',
    querystring: RebalanceQuery,
    response: { 200: RebalanceAnswer },
  }
  api.get<{ Querystring: RebalanceQuery }>('/v1/rebalance', { schema: look }, ({ query }) => {
    const { world } = core
    const now = clock.now()
    return {
      plan: planRebalance(world, { now, movesMax: query.moves ?? MOVES_DEFAULT, placedBefore: now }),
      last: viewLast(world),
    }
  })

  const follow = { summary: 'The last rebalance, or the one under way', response: { 200: LastRebalanceAnswer } }
  api.get('/v1/rebalance/last', { schema: follow }, () => ({ last: viewLast(core.world) }))

  const move = {
    summary: 'Moves tasks, start-first and a few at a time; stops at the first that fails',
    body: RebalanceBody,
    response: { 200: ChangeAnswer },
  }
  api.post<{ Body: RebalanceBody }>('/v1/rebalance', { schema: move }, async ({ body }) => {
    const { moves, atOnce = AT_ONCE_DEFAULT } = body
    return { revision: await core.submit({ kind: 'rebalance', moves, atOnce }) }
  })

  const undo = { summary: 'Takes the last rebalance back', body: UndoBody, response: { 200: ChangeAnswer } }
  api.post<{ Body: UndoBody }>('/v1/rebalance/undo', { schema: undo }, async ({ body }) => ({
    revision: await core.submit({ kind: 'undo-rebalance', atOnce: body.atOnce ?? AT_ONCE_DEFAULT }),
  }))
}

function viewLast({ rebalances }: World): RebalanceDocument | null {
  const last = rebalances.at(-1)
  return last ? viewRebalance(last) : null
}

function viewRebalance({ startedAt, endedAt, moves, ...rest }: Rebalance): RebalanceDocument {
  return {
    ...rest,
    startedAt: new Date(startedAt).toISOString(),
    endedAt: endedAt === null ? null : new Date(endedAt).toISOString(),
    moves: moves.map(({ startedAt: _startedAt, ...move }) => move),
  }
}
