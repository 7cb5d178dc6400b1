/** Where log lines and figures are forwarded to: what `forwarding.yaml` says, with defaults filled in. */
import { HIDDEN, isLoopback } from '../alerts/config.ts'
import Type, { type Static } from '../schema.ts'

const strict = { additionalProperties: false } as const

export const TARGET_KINDS = ['loki', 'otlp', 'syslog'] as const
export type TargetKind = (typeof TARGET_KINDS)[number]

export const STREAMS = ['stdout', 'stderr'] as const
export const LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const

/** The names of RFC 5424, table 1, by their number. */
export const FACILITIES = [
  ...['kern', 'user', 'mail', 'daemon', 'auth', 'syslog', 'lpr', 'news', 'uucp', 'cron', 'authpriv', 'ftp'],
  ...['ntp', 'audit', 'alert', 'clock'],
  ...['local0', 'local1', 'local2', 'local3', 'local4', 'local5', 'local6', 'local7'],
] as const

export const TARGET_NAME = '^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$'
export const TARGETS_MAX = 8
export const HEADERS_MAX = 16
export const NAMES_MAX = 64
export const CA_CHARS_MAX = 65_536
export const METRICS_EVERY_MS = { min: 5_000, max: 3_600_000, default: 30_000 }

const HEADER_NAME = "^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$"
/** Printable, so that none can begin a header of its own. */
const HEADER_VALUE = '^[ -~]{0,4096}$'
/** As `shop_*`: `*` is any run of characters. */
export const NAME_WANTED = '^[a-z0-9*_.-]{1,120}$'

/** Which lines: those that fit all of it. Empty lists: any. */
export const LinesWanted = Type.Object(
  {
    services: Type.Array(Type.String({ pattern: NAME_WANTED }), { maxItems: NAMES_MAX }),
    stacks: Type.Array(Type.String({ pattern: NAME_WANTED }), { maxItems: NAMES_MAX }),
    streams: Type.Array(Type.Union([Type.Literal('stdout'), Type.Literal('stderr')]), { maxItems: 2 }),
    /** Lines that say they are at least of it. */
    level: Type.Optional(Type.Enum([...LEVELS])),
  },
  strict,
)
export type LinesWanted = Static<typeof LinesWanted>
export const ALL_LINES: LinesWanted = { services: [], stacks: [], streams: [] }

/** URL, token, password and headers are secrets, or may hold some. */
export const ForwardTarget = Type.Object(
  {
    /** A target that keeps its name keeps its position. */
    name: Type.String({ pattern: TARGET_NAME }),
    kind: Type.Enum([...TARGET_KINDS]),
    url: Type.String({ minLength: 1, maxLength: 2048 }),
    /** Sent as `Authorization: Bearer …`. */
    token: Type.Optional(Type.String({ pattern: '^[!-~]{1,4096}$' })),
    user: Type.Optional(Type.String({ minLength: 1, maxLength: 256 })),
    password: Type.Optional(Type.String({ minLength: 1, maxLength: 4096 })),
    headers: Type.Optional(Type.Record(Type.String({ pattern: HEADER_NAME }), Type.String({ pattern: HEADER_VALUE }))),
    /** Certificates (PEM) that are trusted in place of the usual ones. */
    ca: Type.Optional(Type.String({ minLength: 1, maxLength: CA_CHARS_MAX })),
    /** Of `loki`: whose logs they are (`X-Scope-OrgID`). */
    tenant: Type.Optional(Type.String({ pattern: "^[A-Za-z0-9!_.*'()|-]{1,150}$" })),
    /** Of `loki`: task and container beside each line (structured metadata). */
    metadata: Type.Optional(Type.Boolean()),
    /** Of `syslog`. */
    facility: Type.Optional(Type.Enum([...FACILITIES])),
    /** Where it begins that was not there before: with what comes, or with the oldest line that is kept. */
    begin: Type.Union([Type.Literal('now'), Type.Literal('oldest')]),
    /** Null: no lines. */
    logs: Type.Union([LinesWanted, Type.Null()]),
    /** Of `otlp`. Null: no figures. */
    metrics: Type.Union([
      Type.Object({ everyMs: Type.Integer({ minimum: METRICS_EVERY_MS.min, maximum: METRICS_EVERY_MS.max }) }, strict),
      Type.Null(),
    ]),
  },
  strict,
)
export type ForwardTarget = Static<typeof ForwardTarget>

export const ForwardingConfig = Type.Object({ targets: Type.Array(ForwardTarget, { maxItems: TARGETS_MAX }) }, strict)
export type ForwardingConfig = Static<typeof ForwardingConfig>

const PROTOCOLS = { loki: ['https:', 'http:'], otlp: ['https:', 'http:'], syslog: ['tls:', 'tcp:', 'udp:'] }
const LIKE = {
  loki: 'https://loki.example.com',
  otlp: 'https://collector.example.com:4318',
  syslog: 'tls://logs.example.com:6514',
}

/** What is wrong with a target, by field and without repeating values, which may be secrets. */
export function targetFaults(target: ForwardTarget): { field: string; fault: string }[] {
  const { kind, url, token, user, password, headers = {}, ca, tenant, metadata, facility, logs, metrics } = target
  const faults: { field: string; fault: string }[] = []
  const add = (field: string, fault: string) => faults.push({ field, fault })
  const notOf = (field: string, value: unknown, ...kinds: TargetKind[]) => {
    if (value !== undefined && value !== null && !kinds.includes(kind)) add(field, `is for ${kinds.join(' and ')}`)
  }
  const fault = urlFault(kind, url)
  if (fault !== null) add('url', fault)
  for (const [field, value] of Object.entries({ token, user, password, headers: target.headers }))
    notOf(field, value, 'loki', 'otlp')
  notOf('tenant', tenant, 'loki')
  notOf('metadata', metadata, 'loki')
  notOf('facility', facility, 'syslog')
  notOf('metrics', metrics, 'otlp')
  if (token !== undefined && user !== undefined) add('token', 'and user exclude each other')
  if ((user === undefined) !== (password === undefined)) add('user', 'needs a password, and a password a user')
  if (Object.keys(headers).length > HEADERS_MAX) add('headers', `holds more than ${HEADERS_MAX}`)
  const taken = Object.keys(headers).find((name) => RESERVED_HEADERS.test(name))
  if (taken !== undefined) add('headers', `must not set ${taken.toLowerCase()}, which Berth does`)
  if (ca !== undefined && !/^(tls|https):/.test(url)) add('ca_file', 'is for https:// and tls://')
  if (logs === null && metrics === null) add('logs', 'are off, and so nothing is forwarded')
  return faults
}

const RESERVED_HEADERS = /^(host|content-.*|transfer-encoding|connection|authorization|x-scope-orgid)$/i

function urlFault(kind: TargetKind, text: string): string | null {
  const url = URL.canParse(text) ? new URL(text) : null
  if (url === null || url.hostname === '' || !PROTOCOLS[kind].includes(url.protocol)) {
    return `is not a URL; write it like ${LIKE[kind]}`
  }
  if (url.username !== '' || url.password !== '') {
    return `must not hold a name and password${kind === 'syslog' ? '' : '; use user and password'}`
  }
  if (url.hash !== '' || (kind === 'syslog' && (url.search !== '' || !/^\/?$/.test(url.pathname)))) {
    return `holds more than it may; write it like ${LIKE[kind]}`
  }
  const isClear = !/^(https|tls):$/.test(url.protocol)
  if (isClear && !isLoopback(url.hostname)) {
    const { secure, clear } = kind === 'syslog' ? SYSLOG_WAYS : HTTP_WAYS
    return `would cross the network in the clear; write ${secure} (${clear} for 127.0.0.1 and localhost)`
  }
  return null
}

const HTTP_WAYS = { secure: 'https://', clear: 'http:// is' }
const SYSLOG_WAYS = { secure: 'tls://', clear: 'tcp:// and udp:// are' }

/** What may be shown: where a target is, without the path, tokens, passwords and the values of headers. */
export function withoutSecrets(target: ForwardTarget): ForwardTarget {
  const { token, password, headers, url } = target
  return {
    ...target,
    url: placeOf(url),
    ...(token !== undefined && { token: HIDDEN }),
    ...(password !== undefined && { password: HIDDEN }),
    ...(headers !== undefined && {
      headers: Object.fromEntries(Object.keys(headers).map((name) => [name, HIDDEN])),
    }),
  }
}

/** `https://loki.example.com:3100`: the rest may be a secret. */
function placeOf(url: string): string {
  if (!URL.canParse(url)) return HIDDEN
  const { protocol, host, pathname, search } = new URL(url)
  return `${protocol}//${host}${/^\/?$/.test(pathname) && search === '' ? '' : '/…'}`
}
