/** A notification in the words of those who take it: Alertmanager's webhook (version 4), and Slack's incoming webhook. */
import type { AlertReceiver } from '../../shared/alerts/config.ts'
import type { Alert } from '../decide/alerts/evaluate.ts'
import type { Notification } from '../decide/alerts/notifications.ts'
import type { Mail } from './mail.ts'

const NEVER = '0001-01-01T00:00:00Z'
/** More alerts than these are counted and not listed. */
const LISTED_MAX = 100

export type NotificationContext = { cluster: string; url: string; now: number }

export function payloadOf(
  kind: AlertReceiver['kind'],
  notification: Notification,
  context: NotificationContext,
): object {
  if (kind === 'smtp') return mailOf(notification, context)
  return kind === 'slack'
    ? { text: notificationText(notification, context.cluster) }
    : webhookPayload(notification, context)
}

/** https://prometheus.io/docs/alerting/latest/configuration/#webhook_config */
function webhookPayload(
  { receiver, rule, firing, resolved }: Notification,
  { cluster, url, now }: NotificationContext,
): object {
  const alerts = [
    ...firing.map((alert) => alertPayload(alert, 'firing', NEVER, cluster, url)),
    ...resolved.map((alert) => alertPayload(alert, 'resolved', new Date(now).toISOString(), cluster, url)),
  ]
  return {
    version: '4',
    groupKey: `{}:{alertname="${rule}",cluster="${cluster}"}`,
    truncatedAlerts: Math.max(0, alerts.length - LISTED_MAX),
    status: firing.length > 0 ? 'firing' : 'resolved',
    receiver,
    groupLabels: { alertname: rule, cluster },
    commonLabels: { alertname: rule, cluster },
    commonAnnotations: {},
    externalURL: url,
    alerts: alerts.slice(0, LISTED_MAX),
  }
}

function alertPayload(alert: Alert, status: string, endsAt: string, cluster: string, url: string): object {
  return {
    status,
    labels: { alertname: alert.rule, severity: alert.severity, cluster, ...alert.labels },
    annotations: { summary: alert.reason },
    startsAt: new Date(alert.since).toISOString(),
    endsAt,
    generatorURL: `${url}/v1/alerts`,
    fingerprint: alert.id,
  }
}

const LINES_MAX = 20

export function notificationText({ rule, firing, resolved }: Notification, cluster: string): string {
  const lines = [
    ...firing.map(({ reason, severity }) => `:red_circle: ${severity}: ${forSlack(reason)}`),
    ...resolved.map(({ reason }) => `:white_check_mark: over: ${forSlack(reason)}`),
  ]
  const more = lines.length > LINES_MAX ? [`and ${lines.length - LINES_MAX} more`] : []
  const counts = [firing.length > 0 && `${firing.length} firing`, resolved.length > 0 && `${resolved.length} over`]
  return [`*${rule}* in ${cluster}: ${counts.filter(Boolean).join(', ')}`, ...lines.slice(0, LINES_MAX), ...more].join(
    '\n',
  )
}

function mailOf({ rule, firing, resolved }: Notification, { cluster, url }: NotificationContext): Mail {
  const lines = [
    ...firing.map(({ severity, reason }) => `${severity}: ${reason}`),
    ...resolved.map(({ reason }) => `over: ${reason}`),
  ]
  const more = lines.length > LISTED_MAX ? [`and ${lines.length - LISTED_MAX} more`] : []
  const text = [...lines.slice(0, LISTED_MAX), ...more, '', `cluster ${cluster}, ${url}`, 'berth alerts ls']
  return { subject: `${firing.length > 0 ? 'alert' : 'over'}: ${rule} in ${cluster}`, text: text.join('\n') }
}

/** Slack takes these three for its own marks. */
function forSlack(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
