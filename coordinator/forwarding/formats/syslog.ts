/** Lines as syslog has them (RFC 5424), and how they stand behind one another on a stream (RFC 6587, 3.4.1, and RFC 5425, 4.3). */
import { FACILITIES } from '../../../shared/forwarding/config.ts'
import type { LogLevel } from '../../logs/log-level.ts'
import { type ForwardLine, type Origin, textParts } from '../line.ts'

export type Facility = (typeof FACILITIES)[number]
/** As Docker's own driver for syslog. */
export const FACILITY_DEFAULT: Facility = 'daemon'

/** RFC 5424, 6.2.1: crit, err, warning, info, debug. */
const SEVERITIES: Record<LogLevel, number> = { fatal: 2, error: 3, warn: 4, info: 6, debug: 7, trace: 7 }
/** Of lines that do not say: as Docker's own driver for syslog. */
const SEVERITY_OF_SOURCE = { stdout: 6, stderr: 3 }
/** 32473 stands for no enterprise in particular (RFC 5612). */
const SD_ID = 'berth@32473'

/**
 * One message, or several parts of a long line, each of at most `bytesMax` bytes. HOSTNAME is the node, APP-NAME the service, PROCID
 * the container and MSGID the stream.
 */
export function syslogMessages(line: ForwardLine, facility: Facility, bytesMax: number): string[] {
  const { origin, at, source, level } = line
  const severity = level === null ? SEVERITY_OF_SOURCE[source] : SEVERITIES[level]
  const { headers, data } = wordsOf(origin)
  const start = `<${FACILITIES.indexOf(facility) * 8 + severity}>1 ${timestamp(at)} ${headers} ${source} [${SD_ID}${data}`
  const ending = `${parameter('level', level)}]`
  const text = line.text.toWellFormed()
  const whole = `${start}${ending} ${text}`
  // A UTF-16 unit is at most three bytes.
  if (whole.length * 3 <= bytesMax || Buffer.byteLength(whole) <= bytesMax) return [whole]
  const room = bytesMax - Buffer.byteLength(`${start}${place(99_999, 99_999)}${ending} `)
  const parts = textParts(text, Math.max(MESSAGE_BYTES_MIN, room))
  return parts.map((part, index) => `${start}${place(index + 1, parts.length)}${ending} ${part}`)
}

/** Names are bounded, so there is always so much room for the text. */
const MESSAGE_BYTES_MIN = 64

const place = (part: number, parts: number): string =>
  `${parameter('part', `${part}`)}${parameter('parts', `${parts}`)}`

type Words = { headers: string; data: string }
const wordsKnown = new WeakMap<Origin, Words>()

/** The same for all lines that are read together. */
function wordsOf(origin: Origin): Words {
  const known = wordsKnown.get(origin)
  if (known !== undefined) return known
  const { service, stack, node, task, container } = origin
  const words = {
    headers: [header(node, 255), header(service, 48), header(container.slice(0, 12), 128)].join(' '),
    data: [parameter('service', service), parameter('stack', stack), parameter('task', task)].join(''),
  }
  wordsKnown.set(origin, words)
  return words
}

/** Its length in bytes, a space and the message. */
export function octetCounted(messages: readonly string[]): Buffer {
  return Buffer.from(messages.map((message) => `${Buffer.byteLength(message)} ${message}`).join(''))
}

/** Down to the microsecond, which is as fine as it may be. */
function timestamp(atMs: number): string {
  const whole = Math.floor(atMs)
  const microseconds = String(Math.floor((atMs - whole) * 1000)).padStart(3, '0')
  return `${new Date(whole).toISOString().slice(0, -1)}${microseconds}Z`
}

/** PRINTUSASCII, which has no space; `-` (NILVALUE) for nothing. */
function header(text: string, lengthMax: number): string {
  return text.replaceAll(/[^!-~]/g, '?').slice(0, lengthMax) || '-'
}

/** Of nothing there is none. */
function parameter(name: string, value: string | null): string {
  return value ? ` ${name}="${parameterValue(value)}"` : ''
}

/** RFC 5424, 6.3.3: these three, and no others. */
export function parameterValue(value: string): string {
  return value.replaceAll(/["\\\]]/g, '\\$&')
}
