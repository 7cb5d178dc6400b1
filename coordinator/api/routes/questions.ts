/**
 * Questions: `why`, `plan`, `what-if`. Nothing is changed by them.
 *
 * They are answered on the loop's own thread, against the world as it stands, so they are bounded: one after the other, with everything
 * else let in between; a forecast ends after FORECAST_MS_MAX and says that it is not complete. Of many waiting ones the rest is refused.
 */
import type { FastifyInstance } from 'fastify'
import { NameParams, PlanBody, PlanDocument, WhatIfBody, WhatIfDocument, WhyDocument } from '../../../shared/api.ts'
import { BerthError } from '../../../shared/errors.ts'
import { planOf } from '../../questions/plan.ts'
import { type Supposition, whatIf } from '../../questions/what-if.ts'
import type { RouteParts } from '../api.ts'
import { viewPlan, viewWhatIf } from '../view-plan.ts'
import { viewWhy } from '../view-why.ts'

/** From the start of a question on; a beat that has begun by then is finished. */
const FORECAST_MS_MAX = 1000
const QUESTIONS_WAITING_MAX = 16
/** How many nodes `plan` tries losing where no proof says that they could be. */
const SURVIVAL_TRIES_MAX = 20

export function questionRoutes(api: FastifyInstance, { core, clock }: RouteParts): void {
  const inTurn = newTurns()

  const why = {
    summary: 'Why a task is where it is, why it waits, why a service stands still; by the name of a task or service',
    params: NameParams,
    response: { 200: WhyDocument },
  }
  api.get<{ Params: { name: string } }>('/v1/why/:name', { schema: why }, ({ params }) =>
    inTurn(() => viewWhy(core.world, core.events, params.name, clock.now())),
  )

  const plan = {
    summary: 'What deploying the stack would do; nothing is changed',
    body: PlanBody,
    response: { 200: PlanDocument },
  }
  api.post<{ Body: PlanBody }>('/v1/plan', { schema: plan }, ({ body }) =>
    inTurn(() => {
      const now = clock.now()
      const bounds = { ...timeBound(), survivalTriesMax: SURVIVAL_TRIES_MAX }
      return viewPlan(core.world, planOf(core.world, body.stack, body.prune ?? true, now, bounds), now)
    }),
  )

  const suppose = {
    summary: 'What would come of nodes lost or added and services scaled; nothing is changed',
    body: WhatIfBody,
    response: { 200: WhatIfDocument },
  }
  api.post<{ Body: WhatIfBody }>('/v1/what-if', { schema: suppose }, ({ body }) =>
    inTurn(() => {
      const now = clock.now()
      return viewWhatIf(core.world, whatIf(core.world, suppositionOf(body), now, timeBound()), now)
    }),
  )
}

function timeBound(): { mayGoOn: () => boolean } {
  const end = performance.now() + FORECAST_MS_MAX
  return { mayGoOn: () => performance.now() < end }
}

function suppositionOf({ lose = [], loseLabels = [], add = [], scale = [] }: WhatIfBody): Supposition {
  return {
    lose,
    loseLabels,
    scale,
    add: add.map(({ count = 1, os = 'linux', arch = 'amd64', labels = {}, ...node }) => ({
      ...node,
      count,
      os,
      arch,
      labels,
    })),
  }
}

/** One at a time: between two of them heartbeats are heard and beats are made. */
function newTurns() {
  let last: Promise<unknown> = Promise.resolve()
  let waiting = 0
  return async <Answer>(answer: () => Answer): Promise<Answer> => {
    if (waiting >= QUESTIONS_WAITING_MAX) {
      throw new BerthError(
        'too-many-requests',
        `${waiting} questions wait for their answers already; ask again shortly`,
      )
    }
    waiting += 1
    const mine = last.then(() => new Promise((resolve) => setImmediate(resolve))).then(answer)
    last = mine.then(
      () => {},
      () => {},
    )
    try {
      return await mine
    } finally {
      waiting -= 1
    }
  }
}
