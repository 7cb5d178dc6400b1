/** Lines as `POST /v1/logs` of OTLP takes them. */
import type { LogLevel } from '../../logs/log-level.ts'
import { type ForwardLine, nanoseconds, type Origin } from '../line.ts'
import { type Attribute, attributes, containerResource, SCOPE } from './otlp.ts'

/** https://opentelemetry.io/docs/specs/otel/logs/data-model/#field-severitynumber: the first number of each range. */
const SEVERITY_NUMBERS: Record<LogLevel, number> = { trace: 1, debug: 5, info: 9, warn: 13, error: 17, fatal: 21 }

const SOURCES: Record<ForwardLine['source'], Attribute[]> = {
  stdout: attributes({ 'log.iostream': 'stdout' }),
  stderr: attributes({ 'log.iostream': 'stderr' }),
}

/** Lines of one container stay in their order. `now`, epoch ms: when we saw them. */
export function otlpLogs(lines: readonly ForwardLine[], now: number): string {
  const observedTimeUnixNano = nanoseconds(now)
  const byContainer = new Map<string, { origin: Origin; logRecords: object[] }>()
  for (const line of lines) {
    const { origin } = line
    let own = byContainer.get(origin.container)
    if (own === undefined) {
      own = { origin, logRecords: [] }
      byContainer.set(origin.container, own)
    }
    own.logRecords.push(recordOf(line, observedTimeUnixNano))
  }
  return JSON.stringify({
    resourceLogs: [...byContainer.values()].map(({ origin, logRecords }) => ({
      resource: containerResource(origin),
      scopeLogs: [{ scope: SCOPE, logRecords }],
    })),
  })
}

function recordOf({ at, level, source, text }: ForwardLine, observedTimeUnixNano: string): object {
  return {
    timeUnixNano: nanoseconds(at),
    observedTimeUnixNano,
    ...(level !== null && { severityNumber: SEVERITY_NUMBERS[level], severityText: level }),
    body: { stringValue: text.toWellFormed() },
    attributes: SOURCES[source],
  }
}
