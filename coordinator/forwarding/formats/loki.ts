/** Lines as Loki takes them: https://grafana.com/docs/loki/latest/reference/loki-http-api/#ingest-logs */
import { type ForwardLine, nanoseconds, type Origin, textParts } from '../line.ts'

/** What Loki takes of one line as it comes (`max_line_size`); a longer one goes in pieces. */
const LINE_BYTES_MAX = 256 * 1024

type Entry = [time: string, line: string, metadata?: Record<string, string>]
type Stream = { stream: Record<string, string>; values: Entry[] }

/**
 * A stream for each service, node, source and level, so that there are few: task and container stand beside each line, or
 * nowhere if `hasMetadata` is false, since Loki before 3.0 takes none. In order of time; of one time, a nanosecond apart, as Loki takes
 * equal ones for the same entry.
 */
export function lokiPush(lines: readonly ForwardLine[], hasMetadata: boolean): string {
  const byStream = new Map<string, ForwardLine[]>()
  for (const line of lines) {
    const { service, node } = line.origin
    const key = `${service}\n${node}\n${line.source}\n${line.level}`
    const own = byStream.get(key)
    if (own === undefined) byStream.set(key, [line])
    else own.push(line)
  }
  return JSON.stringify({ streams: [...byStream.values()].map((own) => streamOf(own, hasMetadata)) })
}

function streamOf(lines: ForwardLine[], hasMetadata: boolean): Stream {
  const { origin, source, level } = lines[0]!
  const { service, stack, node } = origin
  const values: Entry[] = []
  const metadata = new Map<Origin, Record<string, string>>()
  let last = ''
  for (const { at, text, origin } of lines.toSorted((a, b) => a.at - b.at)) {
    for (const part of textParts(text.toWellFormed(), LINE_BYTES_MAX)) {
      const time = nanoseconds(at)
      last = isLater(time, last) ? time : String(BigInt(last) + 1n)
      values.push(hasMetadata ? [last, part, metadataOf(origin, metadata)] : [last, part])
    }
  }
  return { stream: present({ service, stack, node, stream: source, level }), values }
}

/** Of numbers in digits. */
function isLater(time: string, other: string): boolean {
  return time.length === other.length ? time > other : time.length > other.length
}

/** Made once for all lines that were read together. */
function metadataOf(origin: Origin, known: Map<Origin, Record<string, string>>): Record<string, string> {
  const { task, container } = origin
  const metadata = known.get(origin) ?? present({ task, container })
  known.set(origin, metadata)
  return metadata
}

/** A label without a value is none. */
function present(labels: Record<string, string | null>): Record<string, string> {
  return Object.fromEntries(Object.entries(labels).filter((label): label is [string, string] => !!label[1]))
}
