/** The last lines of a task, copied so that an incident keeps them when the log store's retention takes the rest. */
import type { LogReader } from '../core.ts'
import type { IncidentLines } from './incident.ts'

export const LINES_KEPT = 200
export const LINE_CHARACTERS_MAX = 4_096
export const LINES_CHARACTERS_MAX = 64 * 1024
const READ_LIMIT_MS = 15_000

export async function lastLines(
  logs: Pick<LogReader, 'read'>,
  { task, node, until }: NonNullable<IncidentLines['from']>,
  stop: AbortSignal,
): Promise<Omit<IncidentLines, 'from'>> {
  const limit = AbortSignal.timeout(READ_LIMIT_MS)
  const signal = AbortSignal.any([stop, limit])
  const read: IncidentLines['kept'] = []
  let missing: string | null = null
  try {
    const query = { tasks: [{ task, node }], tailLines: LINES_KEPT, until, follow: false, signal }
    for await (const { lines, missingNodes, failures = [] } of logs.read(query)) {
      for (const { at, source, text } of lines) read.push({ at, source, text: shortened(text) })
      if (missingNodes.length > 0) missing = `${node} was away: what it had not sent yet is missing`
      if (failures[0]) missing = failures[0].message
    }
    if (limit.aborted) missing = 'the lines took too long to read'
  } catch (error) {
    missing = error instanceof Error ? error.message : String(error)
  }
  const kept = newest(read.slice(-LINES_KEPT))
  if (kept.length < read.length && missing === null) missing = 'older lines were left out, since these are long'
  return { state: 'kept', missing, kept }
}

function shortened(text: string): string {
  return text.length <= LINE_CHARACTERS_MAX ? text : `${text.slice(0, LINE_CHARACTERS_MAX - 1)}…`
}

/** As many from the end as there is room for. */
function newest(lines: IncidentLines['kept']): IncidentLines['kept'] {
  let room = LINES_CHARACTERS_MAX
  let first = lines.length
  while (first > 0 && room >= lines[first - 1]!.text.length) room -= lines[--first]!.text.length
  return lines.slice(first)
}
