/** What is wrong at this moment, by rule: pure looks at the world. That it must last before anybody is told is evaluate.ts. */

import type { AlertRuleName, AlertRules } from '../../../shared/alerts/config.ts'
import type { Instant } from '../../../shared/clock.ts'
import type { Service, Task, World } from '../../world.ts'
import { atOnce, type Steps } from '../steps.ts'
import { hasCompleted, isUp } from '../task-facts.ts'
import type { AlertHistory } from './history.ts'
import { fullAt } from './history.ts'

export type Condition = {
  /** `node-lost/web-1`: the same trouble has the same id, so it is told once. */
  id: string
  rule: AlertRuleName
  labels: { node?: string; service?: string; task?: string }
  /** A sentence with the figures. */
  reason: string
  /** The node is being drained: somebody works on it and knows. */
  isDrained: boolean
  /** Where it must last longer than the rule says. */
  forMs?: number
}

/** What the coordinator itself knows, and is not in the world. */
export type OwnFacts = {
  certificateEndsAt: Instant
  /** Of connected nodes. */
  nodeCertificates: { node: string; endsAt: Instant }[]
  storeBytes: number
  /** What the disk said when it did not take any log lines; null: it takes them. */
  logsTrouble: string | null
  /** Targets of forwarding that do not take what they are sent, and why. */
  targetTroubles: { target: string; why: string }[]
}

export function conditionsOf(...asked: Parameters<typeof conditionsInSteps>): Condition[] {
  return atOnce(conditionsInSteps(...asked))
}

/** The same, to be interrupted; each service is looked at as it is then. */
export function* conditionsInSteps(
  world: World,
  own: OwnFacts,
  history: AlertHistory,
  rules: AlertRules,
  now: Instant,
): Steps<Condition[]> {
  return [
    ...lostNodes(world),
    ...crashLoops(world, history, rules, now),
    ...(yield* servicesBelowCount(world, rules, now)),
    ...runningOut(world, history, rules, now),
    ...nodeCertificates(world, own, now),
    ...ownTrouble(own, rules, now),
  ].filter(({ rule }) => rules[rule].enabled)
}

function lostNodes(world: World): Condition[] {
  return [...world.nodes.values()].flatMap((node) => {
    if (node.status.name !== 'lost') return []
    return [nodeCondition(world, 'node-lost', node.name, `${node.name} is lost: ${node.status.why}`)]
  })
}

function crashLoops(world: World, history: AlertHistory, rules: AlertRules, now: Instant): Condition[] {
  const { restarts, withinMs } = rules['task-crash-looping']
  return [...history.crashes].flatMap(([unit, { service, node, at }]) => {
    const recent = at.filter((each) => each > now - withinMs).length
    if (recent < restarts || !world.services.has(service)) return []
    const on = node === null ? '' : ` on ${node}`
    return [
      {
        id: `task-crash-looping/${unit}`,
        rule: 'task-crash-looping' as const,
        labels: { task: unit, service, ...(node !== null && { node }) },
        reason: `${unit}${on} ended ${recent} times in ${minutes(withinMs)}`,
        isDrained: isDrained(world, node),
      },
    ]
  })
}

/** While it is rolled out it has its own watch, which pauses or goes back: only when that takes very long is it told here. */
const ROLLING_TIMES = 10

function* servicesBelowCount(world: World, rules: AlertRules, now: Instant): Steps<Condition[]> {
  const below: Condition[] = []
  for (const service of world.services.values()) {
    yield
    if (service.removing || service.release.state === 'held') continue
    const { up, wanted } = countUp(world, service, now)
    if (up >= wanted) continue
    const isRolling = service.rollout.state === 'rolling' || service.rollout.state === 'rolling-back'
    below.push({
      id: `service-below-count/${service.name}`,
      rule: 'service-below-count',
      labels: { service: service.name },
      reason: `${service.name} has ${up} of ${wanted} tasks up`,
      isDrained: false,
      ...(isRolling && { forMs: rules['service-below-count'].forMs * ROLLING_TIMES }),
    })
  }
  return below
}

/**
 * What was started again must have held for so long, or one that crashes again and again would begin the rule's time anew with
 * each start. One that lives longer is started again at once when it ends (the agent's back-off), and so is up nearly always.
 */
const HELD_MS = 10_000

/** Up is what does its work on a node that is not lost, and what has completed it. */
function countUp(world: World, service: Service, now: Instant): { up: number; wanted: number } {
  let up = 0
  let made = 0
  for (const task of world.tasksByService.get(service.name) ?? []) {
    if (task.desired !== 'running') continue
    made += 1
    const isAway = task.node === null || world.nodes.get(task.node)?.status.name === 'lost'
    if (hasCompleted(task) || (isUp(task) && !isAway && holds(task, now))) up += 1
  }
  const mode = service.versions.get(service.version)?.spec.mode
  return { up, wanted: mode?.kind === 'replicated' ? mode.replicas : made }
}

function holds({ observed: { attempt, health, since, healthSince } }: Task, now: Instant): boolean {
  return attempt <= 1 || now - (health === 'none' ? since : healthSince) >= HELD_MS
}

/** Above this it is told whatever it does: there is nothing left to extrapolate. */
const FULL_SHARE = 0.97

function runningOut(world: World, history: AlertHistory, rules: AlertRules, now: Instant): Condition[] {
  const found: Condition[] = []
  for (const { name, load, status } of world.nodes.values()) {
    if (load === null || status.name === 'lost') continue
    const kinds = [
      ['disk-running-out', 'disk', load.diskBytesUsed, load.diskBytesTotal],
      ['memory-running-out', 'memory', load.memoryBytesUsed, load.memoryBytesTotal],
    ] as const
    for (const [rule, what, used, total] of kinds) {
      if (total <= 0) continue
      const percent = Math.round((used / total) * 100)
      const samples = history.usage.get(name)?.[what] ?? []
      const at = fullAt(samples, total)
      if (used / total >= FULL_SHARE) {
        found.push(nodeCondition(world, rule, name, `the ${what} of ${name} is ${percent} % full`))
      } else if (at !== null && at - now <= rules[rule].withinMs) {
        const reason = `the ${what} of ${name} is ${percent} % full and, as it goes on, all of it in ${minutes(at - now)}`
        found.push(nodeCondition(world, rule, name, reason))
      }
    }
  }
  return found
}

/** A node's holds for a day, is renewed when a third of that is left, and asked for again every quarter of an hour. */
const NODE_CERTIFICATE_LEFT_MS = 3 * 3_600_000

function nodeCertificates(world: World, own: OwnFacts, now: Instant): Condition[] {
  return own.nodeCertificates.flatMap(({ node, endsAt }) => {
    if (endsAt - now > NODE_CERTIFICATE_LEFT_MS) return []
    const end = new Date(endsAt).toISOString()
    const reason = `the certificate of ${node} ends at ${end} and was not renewed: its agent cannot connect after that`
    return [nodeCondition(world, 'certificate-ends-soon', node, reason)]
  })
}

function ownTrouble(own: OwnFacts, rules: AlertRules, now: Instant) {
  const { certificateEndsAt, storeBytes, logsTrouble, targetTroubles } = own
  const found: Condition[] = []
  const tell = (rule: AlertRuleName, reason: string) =>
    found.push({ id: rule, rule, labels: {}, reason, isDrained: false })
  if (certificateEndsAt - now <= rules['certificate-ends-soon'].withinMs) {
    const end = new Date(certificateEndsAt).toISOString()
    tell('certificate-ends-soon', `the coordinator's certificate ends at ${end} and was not renewed`)
  }
  const { bytes } = rules['store-near-bound']
  if (storeBytes >= bytes) {
    tell(
      'store-near-bound',
      `the coordinator's store has ${mebibytes(storeBytes)}, and ${mebibytes(bytes)} were allowed it`,
    )
  }
  if (logsTrouble !== null) {
    tell('logs-not-kept', `log lines cannot be kept: ${logsTrouble}. Agents wait with theirs: make room on the disk`)
  }
  const rule = 'target-failing'
  for (const { target, why } of targetTroubles)
    found.push({ id: `${rule}/${target}`, rule, labels: {}, reason: `forwarding: ${why}`, isDrained: false })
  return found
}

function nodeCondition(world: World, rule: AlertRuleName, node: string, reason: string): Condition {
  return { id: `${rule}/${node}`, rule, labels: { node }, reason, isDrained: isDrained(world, node) }
}

function isDrained(world: World, node: string | null): boolean {
  return node !== null && world.nodes.get(node)?.availability === 'drain'
}

function minutes(ms: number): string {
  return ms < 120_000 ? `${Math.max(0, Math.round(ms / 1000))} s` : `${Math.round(ms / 60_000)} min`
}

function mebibytes(bytes: number): string {
  return `${Math.round(bytes / 2 ** 20)} MiB`
}
