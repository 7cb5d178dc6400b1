/** Answers to `POST /v1/plan` and `POST /v1/what-if` as documents. */
import type { PlanDocument, ServicePlanDocument, SurvivalDocument, WhatIfDocument } from '../../shared/api.ts'
import type { Instant } from '../../shared/clock.ts'
import { countRefusals } from '../decide/refusal-counts.ts'
import { wantedVersionOf } from '../decide/service-facts.ts'
import { changesNothing, type Plan, type ServicePlan } from '../questions/plan.ts'
import type { Broken, Survival } from '../questions/survive.ts'
import type { WhatIf } from '../questions/what-if.ts'
import type { World } from '../world.ts'
import { heldBy } from './progress.ts'
import { CHANGES_TOLD_MAX, countChanges, viewChange, viewCheck, viewUnplaced } from './question-words.ts'
import { isoTime } from './words.ts'

export function viewPlan(world: World, plan: Plan, now: Instant): PlanDocument {
  const { admission, seen } = plan
  const after = seen?.world ?? world
  const changes = [...plan.services.flatMap((service) => service.changes), ...plan.others]
  return {
    stack: plan.stack,
    at: isoTime(now),
    revision: world.revision,
    refused: admission.ok ? null : { code: admission.code, message: admission.message },
    warnings: admission.ok ? admission.warnings : [],
    services: plan.services.map(viewServicePlan),
    changes: changes.slice(0, CHANGES_TOLD_MAX).map((change) => viewChange(world, after, change)),
    changesTotal: changes.length,
    unplaced: viewUnplaced(world, after, changes),
    survival: plan.survival && viewSurvival(after, plan.survival),
    changesNothing: changesNothing(plan),
    isComplete: seen?.isComplete ?? true,
  }
}

function viewServicePlan({ service, change, differences, changes, after }: ServicePlan): ServicePlanDocument {
  const nodes: Record<string, number> = {}
  for (const { to, kind } of changes) if (to !== null && kind !== 'stop') nodes[to] = (nodes[to] ?? 0) + 1
  const counts = countChanges(changes)
  const update = after && wantedVersionOf(after).spec.update
  return {
    service,
    change,
    differences,
    counts,
    rollout: counts.replace > 0 && update ? { parallelism: update.parallelism, order: update.order } : null,
    nodes,
    heldBy: after ? heldBy(after) : [],
  }
}

function viewSurvival(after: World, { safe, broken, unknown }: Survival): SurvivalDocument {
  return {
    safe,
    broken: broken.slice(0, NODES_TOLD_MAX).map(({ node, services }) => ({
      node,
      services: services.map((each) => ({
        service: each.service,
        tasks: each.tasks,
        message: brokenWords(after, each),
      })),
    })),
    unknown: unknown.length,
  }
}

const NODES_TOLD_MAX = 100

function brokenWords(after: World, { service, tasks, volume, refusals }: Broken): string {
  if (volume !== null) return `${service} has its volume ${volume} there`
  const counts = countRefusals(refusals)
  const check = counts.find((count) => count.check !== 'liveness') ?? counts[0]
  const why = check ? ` (${viewCheck(check, after.nodes.size).message})` : ''
  return `${tasks} of ${service} would not fit${why}`
}

export function viewWhatIf(world: World, answer: WhatIf, now: Instant): WhatIfDocument {
  const { seen, changes } = answer
  // A global service's task on a lost node is bound to that node: it neither moves nor fails to fit.
  const told = changes.filter(({ kind, slot }) => kind !== 'stop' || slot > 0)
  return {
    at: isoTime(now),
    revision: world.revision,
    lost: answer.lost,
    added: answer.added,
    scaled: answer.scaled,
    counts: countChanges(told),
    changes: told.slice(0, CHANGES_TOLD_MAX).map((change) => viewChange(world, seen.world, change)),
    changesTotal: told.length,
    unplaced: viewUnplaced(world, seen.world, told),
    stopped: answer.stopped,
    interrupted: answer.interrupted,
    isNobodyLeft: answer.isNobodyLeft,
    isComplete: seen.isComplete,
  }
}
