/** `x-berth.health`: a health test that the agent makes from outside the container. */
import type { HealthProbe } from '../../spec.ts'
import type { Field } from '../field.ts'
import { withoutUndefined } from './healthcheck.ts'

const KINDS = ['http', 'tcp', 'grpc'] as const
const TIMINGS = ['interval', 'timeout', 'retries', 'start_period', 'start_interval']

/**
 * What is not set. Compose's own defaults (every 30 s, for 30 s) are made for tests that cost a process each; a probe costs a
 * connection.
 */
export const PROBE_DEFAULTS = {
  intervalMs: 10_000,
  timeoutMs: 5_000,
  retries: 3,
  startPeriodMs: 30_000,
  startIntervalMs: 1_000,
}
const DAY_MS = 86_400_000

/** Undefined where there is none, or where it was reported why it is none. */
export function readProbe(service: Field): HealthProbe | undefined {
  const field = service.get('x-berth')?.get('health')
  if (!field) return undefined
  field.onlySets([...KINDS, ...TIMINGS])
  if (field.node.kind !== 'map') return undefined
  const given = KINDS.filter((kind) => field.get(kind))
  if (given.length !== 1) {
    const found = given.length === 0 ? 'names none' : `names ${given.join(' and ')}`
    return field.error(`takes exactly one of ${KINDS.join(', ')}, and ${found}`)
  }
  if (contradicts(service, field)) return undefined
  const kind = given[0]!
  const asked = READERS[kind](field.get(kind)!)
  const set = withoutUndefined({
    intervalMs: duration(field.get('interval')),
    timeoutMs: duration(field.get('timeout')),
    retries: field.get('retries')?.integer({ min: 1, max: 1000 }),
    startPeriodMs: duration(field.get('start_period'), 0),
    startIntervalMs: duration(field.get('start_interval')),
  }) as Partial<HealthProbe>
  return asked && { ...PROBE_DEFAULTS, ...set, ...asked }
}

/** Two tests that may disagree, or a port that nothing can reach. */
function contradicts(service: Field, field: Field): boolean {
  const check = service.get('healthcheck')
  const words = check?.get('test')
  const isOff =
    check?.get('disable')?.text()?.toLowerCase() === 'true' ||
    (words?.node.kind === 'list' && words.texts()[0] === 'NONE')
  if (check && !isOff) {
    field.error('and healthcheck both say what healthy means; keep one of them (or healthcheck: {disable: true})')
    return true
  }
  if (service.get('network_mode')?.text() === 'none') {
    field.error('cannot reach a container with network_mode: none; use a healthcheck, which runs inside it')
    return true
  }
  return false
}

type Asked = Pick<HealthProbe, 'test' | 'port'>
const READERS: Record<(typeof KINDS)[number], (field: Field) => Asked | undefined> = {
  http: readHttp,
  tcp: (field) => {
    if (field.node.kind === 'map') field.onlySets(['port'])
    const port = (field.node.kind === 'map' ? required(field, 'port') : field)?.integer({ min: 1, max: 65_535 })
    return port === undefined ? undefined : { port, test: { kind: 'tcp' } }
  },
  grpc: (field) => {
    if (field.node.kind === 'map') field.onlySets(['port', 'service'])
    const isMap = field.node.kind === 'map'
    const port = (isMap ? required(field, 'port') : field)?.integer({ min: 1, max: 65_535 })
    const service = (isMap ? field.get('service')?.text() : undefined) ?? ''
    return port === undefined ? undefined : { port, test: { kind: 'grpc', service } }
  },
}

/** `http: {port: 80, path: /healthz}`, or in short `http: ":80/healthz"`. */
function readHttp(field: Field): Asked | undefined {
  if (field.node.kind !== 'map') return readShortHttp(field)
  field.onlySets(['port', 'path', 'scheme', 'status', 'host'])
  const port = required(field, 'port')?.integer({ min: 1, max: 65_535 })
  const path = field.get('path')?.text() ?? '/'
  if (!isPath(path)) return field.get('path')?.error(`"${path}" is no path; it begins with / and has no spaces`)
  const more = withoutUndefined({
    status: field.get('status')?.integer({ min: 100, max: 599 }),
    host: readHost(field.get('host')),
  })
  const scheme = field.get('scheme')?.oneOf(['http', 'https'] as const) ?? 'http'
  return port === undefined ? undefined : { port, test: { kind: 'http', path, scheme, ...more } }
}

function readShortHttp(field: Field): Asked | undefined {
  const text = field.text()
  if (text === undefined) return undefined
  const [, digits, path = '/'] = /^:?(\d{1,5})(\/.*)?$/.exec(text) ?? []
  const port = Number(digits)
  if (port >= 1 && port <= 65_535 && isPath(path)) return { port, test: { kind: 'http', path, scheme: 'http' } }
  return field.error(`"${text}" is no port and path; write ":8080/healthz", or a mapping with port and path`)
}

function readHost(field: Field | undefined): string | undefined {
  const host = field?.text()
  if (host === undefined || /^[\w.:[\]-]{1,255}$/.test(host)) return host
  return field?.error(`"${host}" is no name of a host`)
}

function isPath(text: string): boolean {
  return /^\/[\x21-\x7e]*$/.test(text) && text.length <= 4096
}

function required(field: Field, key: string): Field | undefined {
  return field.get(key) ?? field.error(`needs ${key}: the container's own port`)
}

function duration(field: Field | undefined, min = 1): number | undefined {
  const ms = field?.durationMs()
  if (ms === undefined || (ms >= min && ms <= DAY_MS)) return ms
  return field?.error(`takes from ${min === 0 ? '0s' : '1ms'} to 24h`)
}
