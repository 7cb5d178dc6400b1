/**
 * What each receiver is still to be told. A receiver's position is what it was told last, and it is kept: after a restart of the
 * coordinator nothing is told twice but what was on its way.
 */

import type { AlertRuleName, AlertsConfig } from '../../../shared/alerts/config.ts'
import type { Instant } from '../../../shared/clock.ts'
import type { Alert } from './evaluate.ts'

/** What a receiver knows of one rule. */
export type Position = {
  receiver: string
  rule: AlertRuleName
  /** What it was told fires, and not yet that it does not any more. */
  told: Alert[]
  toldAt: Instant
  /** Since when there is something to tell; null: nothing. */
  dueSince: Instant | null
  /** Of deliveries in a row. */
  failures: number
  triedAt: Instant
}

export type Notification = { receiver: string; rule: Alert['rule']; firing: Alert[]; resolved: Alert[] }

const BACK_OFF_MS = 5_000
const BACK_OFF_MS_MAX = 5 * 60_000

/** How long is waited after so many failures in a row. */
export function backOffMs(failures: number): number {
  return failures === 0 ? 0 : Math.min(BACK_OFF_MS * 2 ** (failures - 1), BACK_OFF_MS_MAX)
}

/** The positions as they are now (receivers that are gone are forgotten), and what is to be sent at once: one notification for each rule. */
export function notificationsDue(
  config: AlertsConfig,
  alerts: readonly Alert[],
  before: readonly Position[],
  now: Instant,
): { positions: Position[]; notifications: Notification[] } {
  const known = new Map(before.map((position) => [keyOf(position), position]))
  const positions: Position[] = []
  const notifications: Notification[] = []
  for (const { name } of config.receivers) {
    for (const rule of Object.keys(config.rules) as AlertRuleName[]) {
      const position = notAhead(known.get(keyOf({ receiver: name, rule })) ?? newPosition(name, rule), now)
      const ofRule = alerts.filter((alert) => alert.rule === rule && alert.state === 'firing')
      const audible = ofRule.filter(({ silencedBy }) => silencedBy === null)
      const notification = whatToTell(position, ofRule, audible, config, now)
      const dueSince = notification === null ? null : (position.dueSince ?? now)
      const next = { ...position, dueSince }
      if (notification !== null || position.told.length > 0) positions.push(next)
      const isRipe = dueSince !== null && now - dueSince >= config.groupWaitMs
      if (notification !== null && isRipe && now - position.triedAt >= backOffMs(position.failures))
        notifications.push(notification)
    }
  }
  return { positions, notifications }
}

function whatToTell(
  { receiver, rule, told, toldAt }: Position,
  firing: Alert[],
  audible: Alert[],
  { repeatMs }: AlertsConfig,
  now: Instant,
): Notification | null {
  const isSame = (alert: Alert) => (other: Alert) => other.id === alert.id && other.since === alert.since
  const isNews = audible.some((alert) => !told.some(isSame(alert)))
  const resolved = told.filter((alert) => !firing.some(isSame(alert)))
  const isRepeated = audible.length > 0 && repeatMs > 0 && now - toldAt >= repeatMs
  if (!isNews && resolved.length === 0 && !isRepeated) return null
  return { receiver, rule, firing: audible, resolved }
}

/** The position behind a notification that was delivered. What was silenced meanwhile is known to the receiver still. */
export function delivered(position: Position, notification: Notification, now: Instant): Position {
  const gone = new Set([...notification.resolved, ...notification.firing].map(({ id }) => id))
  const told = [...position.told.filter(({ id }) => !gone.has(id)), ...notification.firing]
  return { ...position, told, toldAt: now, dueSince: null, failures: 0, triedAt: now }
}

export function notDelivered(position: Position, now: Instant): Position {
  return { ...position, failures: position.failures + 1, triedAt: now }
}

/** A clock that was set back must not make a receiver wait until it has caught up. */
function notAhead(position: Position, now: Instant): Position {
  const { toldAt, triedAt, dueSince } = position
  if (toldAt <= now && triedAt <= now && (dueSince ?? 0) <= now) return position
  const past = (at: Instant) => Math.min(at, now)
  return {
    ...position,
    toldAt: past(toldAt),
    triedAt: past(triedAt),
    dueSince: dueSince === null ? null : past(dueSince),
  }
}

function newPosition(receiver: string, rule: AlertRuleName): Position {
  return { receiver, rule, told: [], toldAt: 0, dueSince: null, failures: 0, triedAt: 0 }
}

export function keyOf({ receiver, rule }: { receiver: string; rule: string }): string {
  return `${receiver}\n${rule}`
}
