/** `berth plan`: what deploying a stack would do, by doing it on a fork of the world. */
import type { Instant } from '../../shared/clock.ts'
import { fullServiceName } from '../../shared/names.ts'
import { canonicalJson, type ServiceSpec, type StackSpec } from '../../shared/spec.ts'
import { type Admission, admit } from '../decide/admit.ts'
import { wantedVersionOf } from '../decide/service-facts.ts'
import type { Change, Service, ServiceName, World } from '../world.ts'
import { differencesOf, type UnitChange } from './differences.ts'
import { type Forecast, type ForecastBounds, forecast } from './forecast.ts'
import { type SpecDifference, specDifferences } from './spec-differences.ts'
import { admitSurvivors } from './survival-rule.ts'
import { type Survival, survivalOf } from './survive.ts'
import { withoutCourse } from './what-if.ts'

export type Plan = {
  stack: string
  /** A no means that the deployment would be refused, and nothing below would come about. */
  admission: Admission
  services: ServicePlan[]
  /** What happens to tasks of other stacks: they make room. */
  others: UnitChange[]
  /** What could be lost afterwards; null: it was not asked, or would be refused. */
  survival: Survival | null
  seen: Forecast | null
}

export type ServicePlan = {
  service: ServiceName
  change: 'new' | 'changed' | 'again' | 'unchanged' | 'removed'
  differences: SpecDifference[]
  changes: UnitChange[]
  /** As it would be when all is done; null: it would be gone. */
  after: Service | null
}

export type PlanBounds = ForecastBounds & {
  /** How many nodes may be tried for what could be lost afterwards; 0: it is not asked. */
  survivalTriesMax: number
}

export function planOf(
  world: World,
  stack: StackSpec,
  prune: boolean,
  now: Instant,
  bounds: Partial<PlanBounds> = {},
): Plan {
  const change: Change = { kind: 'deploy-stack', spec: stack, prune }
  const allowed = admit(world, change)
  const refusedPlan = { stack: stack.name, services: [], others: [], survival: null, seen: null }
  if (!allowed.ok) return { ...refusedPlan, admission: allowed }
  const seen = forecast(world, [{ at: now, change }], now, bounds)
  const admission = world.settings.survive === 'any-node' ? admitSurvivors(world, allowed, { now, seen }) : allowed
  const changes = differencesOf(world, seen)
  const services = servicesOf(world, stack, prune, seen, changes)
  const changing = new Set(services.filter(({ change }) => change !== 'unchanged').map(({ service }) => service))
  // Of what this deployment does not touch only what it leads to: rollouts and moves that are under way come about without it.
  const led = withoutCourse(
    world,
    changes.filter(({ service }) => !changing.has(service)),
    now,
    bounds,
  )
  const own = new Set(services.map(({ service }) => service))
  const { survivalTriesMax = 0, mayGoOn } = bounds
  return {
    stack: stack.name,
    admission,
    services: services.map((each) =>
      changing.has(each.service) ? each : { ...each, changes: led.filter(({ service }) => service === each.service) },
    ),
    others: led.filter(({ service }) => !own.has(service)),
    survival:
      survivalTriesMax > 0 && admission.ok
        ? survivalOf(seen.world, now + seen.tookMs, { triesMax: survivalTriesMax, ...(mayGoOn && { mayGoOn }) })
        : null,
    seen,
  }
}

/** Whether deploying would leave everything as it is. */
export function changesNothing({ services, others, admission }: Plan): boolean {
  return (
    admission.ok &&
    others.length === 0 &&
    services.every((each) => each.change === 'unchanged' && each.changes.length === 0)
  )
}

function servicesOf(
  world: World,
  stack: StackSpec,
  prune: boolean,
  seen: Forecast,
  changes: readonly UnitChange[],
): ServicePlan[] {
  const names = new Set(Object.keys(stack.services).map((shortName) => fullServiceName(stack.name, shortName)))
  if (prune) for (const { name, stack: of } of world.services.values()) if (of === stack.name) names.add(name)
  return [...names].sort().map((name) => servicePlan(world, stack, name, seen, changes))
}

function servicePlan(
  world: World,
  stack: StackSpec,
  name: ServiceName,
  seen: Forecast,
  changes: readonly UnitChange[],
): ServicePlan {
  const before = world.services.get(name)
  const spec = Object.entries(stack.services).find(([short]) => fullServiceName(stack.name, short) === name)?.[1]
  const own = changes.filter(({ service }) => service === name)
  const after = seen.world.services.get(name) ?? null
  const differences = before && spec ? specDifferences(wantedVersionOf(before).spec, spec) : []
  return { service: name, change: kindOf(before, spec, after), differences, changes: own, after }
}

function kindOf(
  before: Service | undefined,
  spec: ServiceSpec | undefined,
  after: Service | null,
): ServicePlan['change'] {
  if (!spec) return 'removed'
  if (!before || before.removing) return 'new'
  const wanted = wantedVersionOf(before)
  if (canonicalJson(wanted.spec) !== canonicalJson(spec)) return 'changed'
  // The same once more, which gives what had stopped or failed another try, or follows a dependency that it restarts with.
  return after && Math.max(...after.versions.keys()) > Math.max(...before.versions.keys()) ? 'again' : 'unchanged'
}
