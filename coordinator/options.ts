/** What a coordinator is started with: defaults filled in, checked once, so that nobody below asks again. */
import { hostname, networkInterfaces } from 'node:os'
import { resolve } from 'node:path'
import { BerthError } from '../shared/errors.ts'
import { type DecideSettings, defaultSettings } from './decide/settings.ts'

export const PORT_DEFAULT = 23784
export const DATA_DIR_DEFAULT = '/var/lib/berth/coordinator'
const HEARTBEAT_INTERVAL_MS_DEFAULT = 1_000
const JOURNAL_BYTES_DEFAULT = 64 * 1024 * 1024
const METRICS_SERIES_DEFAULT = 50_000
/** More would not fit into the 32 bits that a frame has for the place of a block. */
const METRICS_SERIES_MAX = 5_000_000
const METRICS_BYTES_DEFAULT = 512 * 1024 * 1024
/** Each of the three tiers has twelve files, and a frame of a small cluster must fit into one. */
const METRICS_BYTES_MIN = 8 * 1024 * 1024
/** Less would hold no more than a moment beside the picture that each of its parts begins with. */
const JOURNAL_BYTES_MIN = 1024 * 1024
const LOGS_BYTES_DEFAULT = 10 * 1024 ** 3
/** Two segments of each of a few services. */
const LOGS_BYTES_MIN = 64 * 1024 * 1024
const LOGS_AGE_MS_DEFAULT = 30 * 86_400_000
const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const

/** How patient the coordinator is; see DecideSettings. */
export type Graces = Pick<DecideSettings, 'startGraceMs' | 'agentGraceMs' | 'goodbyeGraceMs' | 'engineGraceMs'>

export type CoordinatorOptions = Graces & {
  dataDir: string
  /** The address to listen on. */
  host: string
  /** 0: one that is free. */
  port: number
  /** Names and addresses under which operators and agents reach it, the first of them in the join line. */
  advertise: string[]
  heartbeatIntervalMs: number
  /** Room for the journal; 0: none is kept. */
  journalBytes: number
  /** Room for the log lines of all services; 0: none are kept, they are read from the hosts. */
  logsBytes: number
  /** Log lines older than this go. */
  logsAgeMs: number
  /** Room for metrics over time; 0: none are kept. */
  metricsBytes: number
  /** Series of nodes and tasks that get new points; each takes about a kilobyte of memory. */
  metricsSeries: number
  logLevel: (typeof LOG_LEVELS)[number]
  /** For tests: after each beat asserts that deciding again decides nothing. */
  checkTwice: boolean
}

/** @throws BerthError `invalid-request` that names the option */
export function coordinatorOptions(given: Partial<CoordinatorOptions> = {}): CoordinatorOptions {
  const heartbeatIntervalMs = milliseconds(
    'heartbeat interval',
    given.heartbeatIntervalMs ?? HEARTBEAT_INTERVAL_MS_DEFAULT,
    50,
  )
  const graces = defaultSettings(0, heartbeatIntervalMs)
  const host = nonEmpty('address to listen on', given.host ?? '0.0.0.0')
  return {
    dataDir: resolve(nonEmpty('data folder', given.dataDir ?? DATA_DIR_DEFAULT)),
    host,
    port: portNumber(given.port ?? PORT_DEFAULT),
    advertise: given.advertise?.map((name) => nonEmpty('name to advertise', name)) ?? ownNames(host),
    heartbeatIntervalMs,
    journalBytes: journalSize(given.journalBytes ?? JOURNAL_BYTES_DEFAULT),
    logsBytes: logsSize(given.logsBytes ?? LOGS_BYTES_DEFAULT),
    logsAgeMs: given.logsAgeMs ?? LOGS_AGE_MS_DEFAULT,
    metricsBytes: metricsSize(given.metricsBytes ?? METRICS_BYTES_DEFAULT),
    metricsSeries: metricsSeries(given.metricsSeries ?? METRICS_SERIES_DEFAULT),
    startGraceMs: milliseconds('start grace', given.startGraceMs ?? graces.startGraceMs),
    agentGraceMs: milliseconds('agent grace', given.agentGraceMs ?? graces.agentGraceMs),
    goodbyeGraceMs: milliseconds('goodbye grace', given.goodbyeGraceMs ?? graces.goodbyeGraceMs),
    engineGraceMs: milliseconds('engine grace', given.engineGraceMs ?? graces.engineGraceMs),
    logLevel: logLevel(given.logLevel ?? 'info'),
    checkTwice: given.checkTwice ?? false,
  }
}

/** What the server's certificate is for: what is advertised, and the ways in which this host reaches itself. */
export function certificateNames(options: Pick<CoordinatorOptions, 'advertise'>): string[] {
  return [...new Set([...options.advertise, hostname(), ...ownAddresses(), 'localhost', '127.0.0.1', '::1'])]
}

/** Where agents and operators find the coordinator that listens on `port`. */
export function urlOf(options: Pick<CoordinatorOptions, 'advertise'>, port: number): string {
  const name = options.advertise[0] ?? 'localhost'
  return `https://${name.includes(':') ? `[${name}]` : name}:${port}`
}

function ownNames(host: string): string[] {
  const isEveryAddress = host === '0.0.0.0' || host === '::'
  return isEveryAddress ? [...ownAddresses(), hostname(), 'localhost'] : [host]
}

function ownAddresses(): string[] {
  return Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter(({ internal, family, address }) => !internal && !(family === 'IPv6' && address.startsWith('fe80')))
    .sort((a, b) => a.family.localeCompare(b.family))
    .map(({ address }) => address)
}

function portNumber(port: number): number {
  if (Number.isInteger(port) && port >= 0 && port <= 65_535) return port
  throw invalid(`the port must be a whole number from 0 to 65535, not ${port}`)
}

function milliseconds(what: string, ms: number, min = 0): number {
  if (Number.isInteger(ms) && ms >= min && ms <= 86_400_000) return ms
  throw invalid(`the ${what} must be ${min} ms to one day in whole milliseconds, not ${ms}`)
}

function journalSize(bytes: number): number {
  if (Number.isInteger(bytes) && (bytes === 0 || bytes >= JOURNAL_BYTES_MIN)) return bytes
  throw invalid(`the journal must have at least ${JOURNAL_BYTES_MIN} bytes (1M), or 0 for none, not ${bytes}`)
}

function logsSize(bytes: number): number {
  if (Number.isInteger(bytes) && (bytes === 0 || bytes >= LOGS_BYTES_MIN)) return bytes
  throw invalid(`the logs must have at least ${LOGS_BYTES_MIN} bytes (64M), or 0 to keep none, not ${bytes}`)
}

function metricsSize(bytes: number): number {
  if (Number.isInteger(bytes) && (bytes === 0 || bytes >= METRICS_BYTES_MIN)) return bytes
  throw invalid(`metrics must have at least ${METRICS_BYTES_MIN} bytes (8M), or 0 for none, not ${bytes}`)
}

function metricsSeries(count: number): number {
  if (Number.isInteger(count) && count >= 1 && count <= METRICS_SERIES_MAX) return count
  throw invalid(`the series of metrics must be a whole number from 1 to ${METRICS_SERIES_MAX}, not ${count}`)
}

function nonEmpty(what: string, text: string): string {
  if (text !== '' && !/\s/.test(text)) return text
  throw invalid(`the ${what} must not be empty or hold spaces: ${JSON.stringify(text)}`)
}

function logLevel(level: string): CoordinatorOptions['logLevel'] {
  const known = LOG_LEVELS.find((each) => each === level)
  if (known !== undefined) return known
  throw invalid(`the log level must be one of ${LOG_LEVELS.join(', ')}, not ${level}`)
}

function invalid(message: string): BerthError {
  return new BerthError('invalid-request', message)
}
