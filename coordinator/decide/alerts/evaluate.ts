/** Which alerts fire: conditions that have lasted, each with its silence. World, silences, the state before and now in; the next state out. */

import type { AlertRuleName, AlertRules, Severity } from '../../../shared/alerts/config.ts'
import type { Instant } from '../../../shared/clock.ts'
import type { Condition } from './conditions.ts'

export type Alert = {
  id: string
  /** `test`: of `berth alerts test`, about nothing. */
  rule: AlertRuleName | 'test'
  severity: Severity
  labels: Condition['labels']
  reason: string
  /** `pending`: it must last a while yet. A resolved one is not kept: see `changes`. */
  state: 'pending' | 'firing'
  /** Since when it has been in this state. */
  since: Instant
  /** Why nobody is told: the id of a silence, or `drained`. */
  silencedBy: string | null
}

/** Nobody is told of alerts that have all the labels it names, until it ends by itself. */
export type Silence = {
  id: string
  rule?: AlertRuleName
  node?: string
  service?: string
  startedAt: Instant
  endsAt: Instant
  comment: string
}

export type AlertChange = { kind: 'firing' | 'resolved'; alert: Alert }

export function evaluateAlerts(
  conditions: Condition[],
  before: readonly Alert[],
  silences: readonly Silence[],
  rules: AlertRules,
  now: Instant,
): { alerts: Alert[]; changes: AlertChange[] } {
  const known = new Map(before.map((alert) => [alert.id, alert]))
  const alerts = conditions.map((condition) => step(condition, known.get(condition.id), silences, rules, now))
  const ids = new Set(alerts.map(({ id }) => id))
  const began = alerts.filter(({ id, state }) => state === 'firing' && known.get(id)?.state !== 'firing')
  const ended = before.filter(({ id, state }) => state === 'firing' && !ids.has(id))
  return {
    alerts,
    changes: [
      ...began.map((alert) => ({ kind: 'firing' as const, alert })),
      ...ended.map((alert) => ({ kind: 'resolved' as const, alert })),
    ],
  }
}

function step(
  condition: Condition,
  before: Alert | undefined,
  silences: readonly Silence[],
  rules: AlertRules,
  now: Instant,
): Alert {
  const { id, rule, labels, reason, isDrained } = condition
  const forMs = condition.forMs ?? rules[rule].forMs
  const silence = silences.find((each) => isSilencing(each, condition, now))
  const common = { id, rule, severity: rules[rule].severity, labels, reason }
  const silencedBy = silence?.id ?? (isDrained ? 'drained' : null)
  // One that fires goes on firing while its condition lasts, also when the rule has come to ask for longer.
  if (before?.state === 'firing') return { ...common, state: 'firing', since: before.since, silencedBy }
  // A clock that was set back must not make it wait for ever.
  const since = Math.min(before?.since ?? now, now)
  return now - since >= forMs
    ? { ...common, state: 'firing', since: now, silencedBy }
    : { ...common, state: 'pending', since, silencedBy }
}

export function isSilencing(silence: Silence, { rule, labels }: Pick<Condition, 'rule' | 'labels'>, now: Instant) {
  if (now >= silence.endsAt) return false
  if (silence.rule !== undefined && silence.rule !== rule) return false
  if (silence.node !== undefined && silence.node !== labels.node) return false
  return silence.service === undefined || silence.service === labels.service
}
