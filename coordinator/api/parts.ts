/** What the API is made from. */
import type { FastifyPluginAsync } from 'fastify'
import type { Clock, Instant } from '../../shared/clock.ts'
import type { Log } from '../../shared/log.ts'
import type { Alerter } from '../alerts/alerter.ts'
import type { AuditLog } from '../audit/audit-log.ts'
import type { Port } from '../connections/port.ts'
import type { Core, LogReader } from '../core.ts'
import type { Forwarding } from '../forwarding/forwarding.ts'
import type { FlightRecorder } from '../incidents/flight-recorder.ts'
import type { Journal } from '../journal/journal.ts'
import type { MetricsHistory } from '../metrics-store/history.ts'
import type { Security } from '../security/security.ts'
import type { StreamLimits } from './stream.ts'

export type ApiSettings = {
  /** Where operators and agents reach this coordinator, `https://10.0.0.5:23784`. */
  url: string
  startedAt: Instant
  /** What the store takes on disk, asked for with each `GET /status`. */
  storeBytes: () => number
}

/** A prom-client Registry is of this shape. */
export type MetricsText = { contentType: string; metrics(): Promise<string> }

export type ApiParts = {
  core: Core
  logs: LogReader
  security: Security
  metrics: MetricsText
  settings: ApiSettings
  /** Absent: none is kept. */
  journal?: Pick<Journal, 'read'>
  /** Absent: there are no alerts (tests). */
  alerter?: Alerter
  /** Absent: nothing is forwarded (tests). */
  forwarding?: Forwarding
  /** Absent: no incidents are kept (tests). */
  flightRecorder?: Pick<FlightRecorder, 'list' | 'get'>
  /** Absent: changes are not told anywhere (tests). */
  audit?: AuditLog
  /** Absent: none is kept. */
  history?: Pick<MetricsHistory, 'store' | 'why'>
  version: string
  /** Told of each connection that has shown the operator's token. */
  port?: Port
  clock?: Clock
  log?: Log
  /** For tests; see STREAM_LIMITS. */
  streams?: Partial<StreamLimits>
  /** `GET /install.sh` and `/v1/agent-bundle*`: public files without secrets. */
  installer?: FastifyPluginAsync
}
