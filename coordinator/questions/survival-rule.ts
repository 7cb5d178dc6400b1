/**
 * The admission rule `survive: any-node` (docs/decisions/questions.md): a deployment is refused when afterwards the loss of one
 * node would leave tasks without a place that would have had one without it. So a cluster that cannot survive every loss
 * already takes what does not make that worse.
 */
import type { Instant } from '../../shared/clock.ts'
import { type Admission, refused } from '../decide/admission.ts'
import { admit } from '../decide/admit.ts'
import { countRefusals } from '../decide/refusal-counts.ts'
import type { Change, NodeName, World } from '../world.ts'
import { type Forecast, forecast } from './forecast.ts'
import { type Broken, brokenBy, survivalOf, TRIES_MAX } from './survive.ts'

/** Admission with the rule of the cluster's settings: what the control loop asks. Pure, like `admit`. */
export function admitWithRules(world: World, change: Change): Admission {
  const allowed = admit(world, change)
  if (!allowed.ok || world.settings.survive !== 'any-node' || !mayBreak(change)) return allowed
  const now = latestWord(world)
  const seen = forecast(world, [{ at: now, change }], now, { beatsMax: BEATS_MAX })
  return admitSurvivors(world, allowed, { now, seen })
}

/** A long rollout is looked at as far as this: how much room it needs is seen by then. */
const BEATS_MAX = 200

/** Going back to what ran before is a way out of trouble, and so is everything that frees room. */
function mayBreak(change: Change): boolean {
  return change.kind === 'deploy-stack' || change.kind === 'scale-service'
}

/** Of a change that is admitted otherwise; `seen`: what would come of it. */
export function admitSurvivors(
  world: World,
  allowed: Admission,
  { now, seen }: { now: Instant; seen: Forecast },
): Admission {
  const at = now + seen.tookMs
  for (const { node, services } of survivalOf(seen.world, at, { triesMax: TRIES_MAX }).broken) {
    const before = new Map(brokenBy(world, node, now).map((broken) => [broken.service, broken.tasks]))
    const worse = services.filter(({ service, tasks }) => tasks > (before.get(service) ?? 0))
    if (worse.length > 0) return refusedFor(node, worse)
  }
  return allowed
}

function refusedFor(node: NodeName, broken: readonly Broken[]): Admission {
  const told = broken.slice(0, SERVICES_TOLD).map(inWords).join('; ')
  const more = broken.length > SERVICES_TOLD ? `, and ${broken.length - SERVICES_TOLD} more services` : ''
  const message =
    `refused by the cluster's rule survive=any-node: if ${node} were lost, ${told}${more}. ` +
    'Reserve less, add a node, or turn the rule off with "berth cluster set survive=nothing"'
  return refused('conflict', message, {
    rule: 'survive',
    node,
    services: broken.slice(0, SERVICES_TOLD).map(({ service, tasks, volume }) => ({ service, tasks, volume })),
  })
}

const SERVICES_TOLD = 5

function inWords({ service, tasks, volume, refusals }: Broken): string {
  if (volume !== null) return `${service} would stop, since its volume ${volume} is there only`
  const what = tasks === 1 ? `a task of ${service}` : `${tasks} tasks of ${service}`
  // That the lost node is lost is no news.
  const counts = countRefusals(refusals)
  const nearest = counts.find(({ check }) => check !== 'liveness') ?? counts[0]
  const check = nearest ? ` (${nearest.check}${nearest.subject ? ` ${nearest.subject}` : ''})` : ''
  return `${what} would not fit anywhere${check}`
}

/** Judging has no clock: the newest thing that the world knows of is as good as now for asking what would fit. */
function latestWord(world: World): Instant {
  let at = 0
  for (const { heard, joinedAt } of world.nodes.values()) at = Math.max(at, heard.lastAt, joinedAt)
  for (const { deployedAt } of world.stacks.values()) at = Math.max(at, deployedAt)
  return at
}
