/** `berth incident`: what went bad, since when, and the evidence that outlives container and node. */
import type { IncidentBriefDocument, IncidentDocument, IncidentsDocument } from '../../shared/api.ts'
import { PAGE_LIMIT_MAX } from '../../shared/api.ts'
import { BerthError } from '../../shared/errors.ts'
import { segment } from '../client.ts'
import { type Context, withClient } from '../context.ts'
import { bytes, plural, trimmed } from '../figures.ts'
import type { Output } from '../output.ts'
import { type Column, tableLines } from '../table.ts'
import { oneLine } from '../terminal-text.ts'
import { candidateTable } from './why.ts'

export type IncidentsOptions = { limit?: number /** Milliseconds before now. */; since?: number }

export async function listIncidents(
  context: Context,
  about: string | undefined,
  { limit, since }: IncidentsOptions,
): Promise<void> {
  const { out, json } = context
  const query = {
    limit: limit ?? (since === undefined ? LISTED : PAGE_LIMIT_MAX),
    ...(since !== undefined && { since: Date.now() - since }),
  }
  const { items, next } = await withClient(context, async (client) => {
    const list = (names: { service?: string; node?: string }) =>
      client.get<IncidentsDocument>('/v1/incidents', { ...query, ...names })
    if (about === undefined) return list({})
    // A service or a node: what has gone since still has its incidents, hence both are asked for.
    const ofService = await list({ service: about })
    return ofService.items.length > 0 ? ofService : list({ node: about })
  })
  if (json) return out.document(items)
  if (items.length === 0) {
    const of = about === undefined ? '' : ` of a service or node ${about}`
    return out.note(`no incidents${of} are kept${since === undefined ? '' : ' of that time'}`)
  }
  for (const line of tableLines(COLUMNS, items.map(row), out.columns)) out.line(line)
  if (next !== null) out.note(`these are the newest ${items.length}; -n shows more`)
}

const LISTED = 50

const COLUMNS: Column[] = [
  { title: 'ID', align: 'right' },
  { title: 'SINCE' },
  { title: 'LAST' },
  { title: 'TIMES', align: 'right' },
  { title: 'WHAT', shrinkTo: 14 },
  { title: 'NODE', shrinkTo: 8 },
  { title: 'WHY', shrinkTo: 16 },
]

function row({ number, at, lastAt, count, node, reason, ...names }: IncidentBriefDocument): string[] {
  const last = count === 1 ? '' : lastAt.slice(0, 10) === at.slice(0, 10) ? lastAt.slice(11, 19) : shortTime(lastAt)
  return [String(number), shortTime(at), last, String(count), what({ node, ...names }), node ?? '', oneLine(reason)]
}

/** `--json`: the document as it is. @throws BerthError `invalid-request` for what is no number, `incident-not-found` */
export async function showIncident(context: Context, id: string): Promise<void> {
  if (!/^[1-9]\d{0,11}$/.test(id)) {
    throw new BerthError('invalid-request', `'${id}' is no incident's number; berth incident ls shows them`)
  }
  const incident = await withClient(context, (client) => client.get<IncidentDocument>(`/v1/incidents/${segment(id)}`))
  const { out, json } = context
  if (json) return out.document(incident)
  for (const line of incidentLines(incident, out.paint, out.columns)) out.line(line)
}

/** What happened first, then why, then what it printed. */
export function incidentLines(incident: IncidentDocument, paint: Output['paint'], columns: number): string[] {
  const { number, at, node, reason } = incident
  const where = node !== null && node !== what(incident) ? ` on ${node}` : ''
  return [
    paint('bold', `incident ${number}: ${what(incident)}${where} ${oneLine(reason)}${signal(incident)}`),
    `  ${shortTime(at)}${again(incident)}`,
    ...factLines(incident),
    ...occurrenceLines(incident, paint),
    ...sampleLines(incident, paint, columns),
    ...placementLines(incident, paint, columns),
    ...printedLines(incident, paint),
  ]
}

function signal({ ending }: IncidentDocument): string {
  return ending?.signal ? ` (${ending.signal})` : ''
}

function again({ count, lastAt }: IncidentDocument): string {
  return count === 1 ? ', once' : `, ${count} times until ${shortTime(lastAt)}`
}

function factLines({ ending, healthMessage, container, task, tasks, kind, reason }: IncidentDocument): string[] {
  const facts: [string, string | null][] = [
    ['task', task && `${task}${ending ? `, attempt ${ending.attempt}` : ''}`],
    ['exit code', ending?.exitCode == null ? null : String(ending.exitCode)],
    ['out of memory', ending?.oomKilled ? 'yes, killed by the kernel' : null],
    ['error', ending?.error && ending.error !== reason ? ending.error : null],
    ['health', healthMessage && !reason.includes(healthMessage) ? healthMessage : null],
    ['image', container && `${container.image} (version ${container.version} of the service)`],
    ['container', container?.id?.slice(0, 12) ?? null],
    ['was up', container?.upSince ? `since ${shortTime(container.upSince)}` : null],
    [kind === 'rollout-failed' ? 'failed' : 'had', tasks.count > 0 ? named(tasks) : null],
  ]
  return facts.flatMap(([name, value]) => (value ? [`  ${name.padEnd(14)}${oneLine(value)}`] : []))
}

function named({ names, count }: IncidentDocument['tasks']): string {
  const shown = names.slice(0, NAMES_SHOWN)
  const more = count - shown.length
  return `${plural(count, 'task')}: ${shown.join(', ')}${more > 0 ? ` and ${more} more` : ''}`
}

const NAMES_SHOWN = 5

function occurrenceLines({ occurrences, count }: IncidentDocument, paint: Output['paint']): string[] {
  if (count === 1) return []
  const shown = occurrences.slice(-OCCURRENCES_SHOWN)
  const lines = shown.map(({ at, task, node, reason }) => {
    const where = [task, node].filter((each) => each !== null).join(' on ')
    return `  ${shortTime(at)}  ${where}: ${oneLine(reason)}`
  })
  return ['', paint('bold', `the last ${shown.length} of ${count} times`), ...lines]
}

const OCCURRENCES_SHOWN = 8

function sampleLines({ samples, at }: IncidentDocument, paint: Output['paint'], columns: number): string[] {
  if (samples.length === 0) return ['', '  load before: none was told']
  const shown = samples.filter((_, index) => isShown(samples.length - 1 - index))
  const rows = shown.map((each) => [
    `${trimmed((Date.parse(at) - Date.parse(each.at)) / 1000)} s before`,
    trimmed(each.cpuCoresUsed),
    each.cpuThrottledShare > 0 ? `${Math.round(each.cpuThrottledShare * 100)} %` : '',
    bytes(each.memoryBytesUsed),
  ])
  const titles: Column[] = [
    { title: '', align: 'right' },
    { title: 'CPU cores', align: 'right' },
    { title: 'held back', align: 'right' },
    { title: 'memory', align: 'right' },
  ]
  const title = `load before (${plural(samples.length, 'sample')}${steps(samples)}${samples.length > shown.length ? '; --json has all' : ''})`
  return ['', paint('bold', title), ...tableLines(titles, rows, columns - 2).map((line) => `  ${line}`)]
}

/** The last few, and of those before one in ten. */
function isShown(placeFromEnd: number): boolean {
  return placeFromEnd < SAMPLES_SHOWN || placeFromEnd % 10 === 0
}

const SAMPLES_SHOWN = 6

/** How far most of them are apart. */
function steps(samples: IncidentDocument['samples']): string {
  const apart = samples.slice(1).map(({ at }, index) => Date.parse(at) - Date.parse(samples[index]!.at))
  const median = apart.sort((a, b) => a - b)[Math.floor(apart.length / 2)]
  return median === undefined ? '' : `, ${Math.max(1, Math.round(median / 1000))} s apart`
}

function placementLines({ placement }: IncidentDocument, paint: Output['paint'], columns: number): string[] {
  if (placement === null) return []
  const { task, node, at, policy, fitting, considered } = placement
  const title = `why ${task} was on ${node}`
  const how = `  since ${shortTime(at)} by ${policy}, ${fitting} of ${plural(considered, 'node')} could take it`
  return ['', paint('bold', title), how, ...candidateTable(placement, paint, columns)]
}

function printedLines({ lines, service, task, at }: IncidentDocument, paint: Output['paint']): string[] {
  const { state, kept, missing } = lines
  if (state === 'none') return []
  const title =
    state === 'waiting'
      ? 'lines: they are being copied, ask again in a moment'
      : `the last ${plural(kept.length, 'line')}`
  const of = lines.task !== null && lines.task !== task ? ` of ${lines.task}` : ''
  const shown = kept.map(({ at: time, source, text }) => {
    const when = paint('dim', time.slice(11, 23))
    return `  ${when} ${source === 'stderr' ? paint('red', '!') : ' '} ${text}`
  })
  const all = service ?? lines.task
  return [
    '',
    paint('bold', `${title}${of}`),
    ...(missing === null ? [] : [paint('yellow', `  ${missing}`)]),
    ...shown,
    ...(all === null
      ? []
      : [
          paint('dim', `  more, while the logs are kept: berth logs ${lines.task ?? all} --until ${lines.until ?? at}`),
        ]),
  ]
}

/** What it is about: the task by its name, else the service, else the node. */
function what({ taskName, service, node }: Pick<IncidentBriefDocument, 'taskName' | 'service' | 'node'>): string {
  return taskName ?? service ?? node ?? ''
}

const shortTime = (time: string) => time.replace('T', ' ').slice(0, 19)
