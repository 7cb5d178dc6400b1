/** Which alerts there are and who hears of them: what `alerts.yaml` says, with defaults filled in. */
import Type, { type Static } from '../schema.ts'

const strict = { additionalProperties: false } as const
const Ms = Type.Integer({ minimum: 0, maximum: 366 * 86_400_000 })
const Severity = Type.Union([Type.Literal('critical'), Type.Literal('warning')])

const common = { enabled: Type.Boolean(), severity: Severity, forMs: Ms }

/** `forMs`: how long it must have been so before anybody is told. */
export const AlertRules = Type.Object(
  {
    'node-lost': Type.Object(common, strict),
    /** A task whose container ended at least `restarts` times within `withinMs`. */
    'task-crash-looping': Type.Object(
      { ...common, restarts: Type.Integer({ minimum: 1, maximum: 20 }), withinMs: Ms },
      strict,
    ),
    'service-below-count': Type.Object(common, strict),
    /** Space that, as it went on lately, is used up within `withinMs`. */
    'disk-running-out': Type.Object({ ...common, withinMs: Ms }, strict),
    'memory-running-out': Type.Object({ ...common, withinMs: Ms }, strict),
    /** The coordinator's own certificate, which it renews itself when a third of its life is left; or a node's, in its last hours. */
    'certificate-ends-soon': Type.Object({ ...common, withinMs: Ms }, strict),
    /** The coordinator's store, which ordinarily takes some ten MiB for each thousand tasks. */
    'store-near-bound': Type.Object({ ...common, bytes: Type.Integer({ minimum: 1_048_576 }) }, strict),
    /** The disk takes no log lines. */
    'logs-not-kept': Type.Object(common, strict),
    /** A target of forwarding does not take what it is sent. */
    'target-failing': Type.Object(common, strict),
  },
  strict,
)
export type AlertRules = Static<typeof AlertRules>
export type AlertRuleName = keyof AlertRules
export type Severity = Static<typeof Severity>

export const ALERT_RULES_DEFAULT: AlertRules = {
  'node-lost': { enabled: true, severity: 'critical', forMs: 0 },
  'task-crash-looping': { enabled: true, severity: 'warning', forMs: 0, restarts: 3, withinMs: 600_000 },
  'service-below-count': { enabled: true, severity: 'critical', forMs: 60_000 },
  'disk-running-out': { enabled: true, severity: 'warning', forMs: 60_000, withinMs: 4 * 3_600_000 },
  'memory-running-out': { enabled: true, severity: 'warning', forMs: 60_000, withinMs: 1_800_000 },
  'certificate-ends-soon': { enabled: true, severity: 'critical', forMs: 0, withinMs: 14 * 86_400_000 },
  'store-near-bound': { enabled: true, severity: 'critical', forMs: 60_000, bytes: 2 * 1024 ** 3 },
  'logs-not-kept': { enabled: true, severity: 'critical', forMs: 10_000 },
  'target-failing': { enabled: true, severity: 'warning', forMs: 600_000 },
}

/** Nothing in it can end a line or a bracket of the dialogue with a mail server. */
export const MAIL_ADDRESS = '^[A-Za-z0-9._%+=-]{1,64}@[A-Za-z0-9.-]{1,190}$'
const MailAddress = Type.String({ pattern: MAIL_ADDRESS })

/** A receiver's URL is a secret: it often holds a token. */
export const AlertReceiver = Type.Object(
  {
    name: Type.String({ minLength: 1, maxLength: 64 }),
    kind: Type.Union([Type.Literal('webhook'), Type.Literal('slack'), Type.Literal('smtp')]),
    url: Type.String({ minLength: 1, maxLength: 2048 }),
    /** Sent as `Authorization: Bearer …`; of `smtp` the user's password. */
    token: Type.Optional(Type.String({ minLength: 1, maxLength: 4096 })),
    /** Of `smtp`: who logs in, whom mails are from and who gets them. */
    user: Type.Optional(Type.String({ minLength: 1, maxLength: 256 })),
    from: Type.Optional(MailAddress),
    to: Type.Optional(Type.Array(MailAddress, { minItems: 1, maxItems: 16 })),
  },
  strict,
)
export type AlertReceiver = Static<typeof AlertReceiver>

export const RECEIVERS_MAX = 16

export const AlertsConfig = Type.Object(
  {
    rules: AlertRules,
    receivers: Type.Array(AlertReceiver, { maxItems: RECEIVERS_MAX }),
    /** How long is waited for more of a rule's alerts before they are told together. */
    groupWaitMs: Ms,
    /** What goes on firing is told again after so long. */
    repeatMs: Ms,
  },
  strict,
)
export type AlertsConfig = Static<typeof AlertsConfig>

export const ALERTS_CONFIG_DEFAULT: AlertsConfig = {
  rules: ALERT_RULES_DEFAULT,
  receivers: [],
  groupWaitMs: 10_000,
  repeatMs: 4 * 3_600_000,
}

const PROTOCOLS = { webhook: ['https:', 'http:'], slack: ['https:', 'http:'], smtp: ['smtps:', 'smtp:'] }
const LIKE = {
  webhook: 'https://alerts.example.com/hook',
  slack: 'https://hooks.slack.com/services/…',
  smtp: 'smtp://mail.example.com:587 (or smtps://)',
}

/** What is wrong with a receiver's URL, said without repeating it: it may hold a secret. Null: nothing. */
export function urlFault(kind: AlertReceiver['kind'], text: string): string | null {
  const url = URL.canParse(text) ? new URL(text) : null
  if (url === null || url.hostname === '' || !PROTOCOLS[kind].includes(url.protocol)) {
    return `is not a URL; write it like ${LIKE[kind]}`
  }
  if (url.username !== '' || url.password !== '') {
    return `must not hold a name and password; use ${kind === 'smtp' ? 'user and password' : 'token'}`
  }
  if (url.protocol === 'http:' && !isLoopback(url.hostname)) {
    return 'would cross the network in the clear; write https:// (http:// is for 127.0.0.1 and localhost)'
  }
  return null
}

/** On the coordinator's own host: what goes there crosses no network. `hostname` as URLs have it. */
export function isLoopback(hostname: string): boolean {
  return /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/.test(hostname)
}

/** What may be shown: where a receiver is, without the path and the token, which are its secret. */
export function withoutSecrets(config: AlertsConfig): AlertsConfig {
  const receivers = config.receivers.map(({ token, ...receiver }) => ({
    ...receiver,
    url: hostOf(receiver.url),
    ...(token !== undefined && { token: HIDDEN }),
  }))
  return { ...config, receivers }
}

export const HIDDEN = '(hidden)'

function hostOf(url: string): string {
  return URL.canParse(url) ? `${new URL(url).protocol}//${new URL(url).host}/…` : HIDDEN
}
