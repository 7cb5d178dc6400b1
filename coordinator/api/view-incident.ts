/** An incident as a document of the API. */
import { constants } from 'node:os'
import type { IncidentBriefDocument, IncidentDocument } from '../../shared/api.ts'
import type { Incident } from '../incidents/incident.ts'
import type { IncidentSummary } from '../incidents/incident-files.ts'
import { viewReason } from './view-why.ts'
import { isoTime } from './words.ts'

type Brief = Pick<
  Incident,
  'number' | 'kind' | 'at' | 'lastAt' | 'count' | 'service' | 'node' | 'task' | 'taskName' | 'reason'
>

export function viewIncidentBrief(summary: IncidentSummary): IncidentBriefDocument {
  return { ...brief(summary), exitCode: summary.exitCode }
}

export function viewIncident(incident: Incident): IncidentDocument {
  const { ending, container, placement, lines, samples, occurrences, healthMessage, tasks } = incident
  return {
    ...brief(incident),
    ending: ending && { ...ending, signal: signalOf(ending.exitCode) },
    healthMessage,
    container: container && { ...container, upSince: container.upSince === null ? null : isoTime(container.upSince) },
    placement:
      placement?.reason && incident.taskName !== null
        ? viewReason(incident.taskName, placement.node, placement.at, placement.reason)
        : null,
    tasks,
    occurrences: occurrences.map(timed),
    samples: samples.map(timed),
    lines: {
      state: lines.state,
      task: lines.from?.task ?? null,
      until: lines.from && isoTime(lines.from.until),
      missing: lines.missing,
      kept: lines.kept.map(timed),
    },
  }
}

function brief({ number, kind, at, lastAt, count, service, node, task, taskName, reason }: Brief) {
  return { number, kind, at: isoTime(at), lastAt: isoTime(lastAt), count, service, node, task, taskName, reason }
}

const timed = <Item extends { at: number }>(item: Item) => ({ ...item, at: isoTime(item.at) })

/** A shell and the Engine tell a signal as 128 and its number. */
function signalOf(exitCode: number | null): string | null {
  if (exitCode === null || exitCode <= 128) return null
  return Object.entries(constants.signals).find(([, number]) => number === exitCode - 128)?.[0] ?? null
}
