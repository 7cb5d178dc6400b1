/** The progress of a stack as lines for people. Pure: documents and what was noted on the way in, text out. */
import type { ProgressDocument, ServiceProgress } from '../shared/api.ts'
import { duration, plural } from './figures.ts'
import type { Output } from './output.ts'
import { oneLine } from './terminal-text.ts'

const barCells = 18
const stateWidth = 38
/** From this many tasks on a bar says more than the figures alone. */
const barFrom = 10
const failuresShownMax = 3
const gap = '   '

/** What one who follows a deployment has noted of each service on the way, by its full name. */
export type Noted = {
  /** How long each service that is through needed, in ms. */
  took: ReadonlyMap<string, number>
  /** Short names of the services that each was held by. */
  waitedFor: ReadonlyMap<string, string>
}

export const NOTHING_NOTED: Noted = { took: new Map(), waitedFor: new Map() }

/** For a terminal: a line or more for each service, in columns. */
export function progressLines(progress: ProgressDocument, noted: Noted, paint: Output['paint']): string[] {
  const width = nameWidth(progress)
  return progress.services.flatMap((service) => serviceBlock(service, width, progress.lastLines, noted, paint))
}

/** The same in so many lines at most: those that are through are counted when there is no room for all. */
export function fittingLines(
  progress: ProgressDocument,
  noted: Noted,
  paint: Output['paint'],
  linesMax: number,
): string[] {
  const all = progressLines(progress, noted, paint)
  if (all.length <= linesMax) return all
  const width = nameWidth(progress)
  const isThrough = ({ stage }: ServiceProgress) => stage === 'up' || stage === 'done'
  const going = progress.services.filter((service) => !isThrough(service))
  const lines: string[] = []
  let shown = 0
  for (const service of going) {
    const block = serviceBlock(service, width, progress.lastLines, noted, paint)
    if (lines.length + block.length > linesMax - 1) break
    lines.push(...block)
    shown += 1
  }
  const through = progress.services.length - going.length
  const rest = [
    ...(going.length > shown ? [`${going.length - shown} more on their way`] : []),
    ...(through > 0 ? [`${through} through`] : []),
  ]
  return [...lines, `  and ${rest.join(', ')}`]
}

/** One service in one line, for output that is no terminal: `shop_api  12/20 healthy  4 at a time`. */
export function plainLine(
  service: ServiceProgress,
  noted: Noted = NOTHING_NOTED,
  lastLines: ProgressDocument['lastLines'] = undefined,
): string {
  const [line = '', ...below] = serviceLines(service, lastLines, noted, false, (_style, text) => text)
  return [`${service.service}  ${line.trimEnd()}`, ...below.map((text) => `  ${text}`)].join('\n')
}

/** `shop  5 services, 23 tasks   Ctrl-C leaves it going; …`; the hint stands where the columns of the services end, if it fits there. */
export function headLine(progress: ProgressDocument, hint: string, columns = 100): string {
  const tasks = progress.services.reduce((sum, service) => sum + service.counts.wanted, 0)
  const head = `${progress.stack}  ${plural(progress.services.length, 'service')}, ${plural(tasks, 'task')}`
  if (hint === '') return head
  const inColumn = `${head.padEnd(stateWidth + 12)}${hint}`
  return inColumn.length <= columns && head.length < stateWidth + 12 ? inColumn : `${head}${gap}${hint}`
}

/** What is missing and why, when waiting ends before the stack is up. */
export function missingLines(progress: ProgressDocument): string[] {
  return progress.services
    .filter((service) => service.stage !== 'up' && service.stage !== 'done')
    .flatMap((service) => plainLine(service).split('\n'))
}

/** Within a stack its own prefix says nothing. */
export function shortOf(name: string, of: ServiceProgress): string {
  const prefix = of.service.slice(0, of.service.length - of.shortName.length)
  return name.startsWith(prefix) ? name.slice(prefix.length) : name
}

const nameWidth = ({ services }: ProgressDocument) => Math.max(8, ...services.map(({ shortName }) => shortName.length))

function serviceBlock(
  service: ServiceProgress,
  width: number,
  lastLines: ProgressDocument['lastLines'],
  noted: Noted,
  paint: Output['paint'],
): string[] {
  const [line = '', ...below] = serviceLines(service, lastLines, noted, true, paint)
  return [`  ${service.shortName.padEnd(width)}  ${line}`, ...below.map((text) => `  ${''.padEnd(width)}  ${text}`)]
}

function serviceLines(
  service: ServiceProgress,
  lastLines: ProgressDocument['lastLines'],
  noted: Noted,
  withBar: boolean,
  paint: Output['paint'],
): string[] {
  const { stage, version } = service
  const story = storyOf(service, noted)
  switch (stage) {
    case 'held':
      return [`waiting for ${heldByText(service) || 'its dependencies'}`]
    case 'removing':
      return [`being removed, ${service.counts.running + service.counts.stopping} left`]
    case 'done':
      return [inColumns(paint('green', 'done, exit 0'), 'done, exit 0', story)]
    case 'up':
      return [inColumns(paint('green', countText(service)), countText(service), join(place(service), story))]
    case 'failed':
      return [paint('red', `✗ failed${because(service)}`), ...failureLines(service, lastLines)]
    case 'rolled-back': {
      const words = `rolled back to version ${version}`
      // Without a failure somebody asked for it, and has what was asked for.
      if (service.failures.length === 0)
        return [inColumns(paint('green', `${words}, ${countText(service)}`), `${words}, ${countText(service)}`, story)]
      return [paint('red', `✗ ${words}${because(service)}`), ...failureLines(service, lastLines)]
    }
    case 'rolling-back':
      return [
        paint('yellow', `rolling back to version ${version}: ${countText(service)}`),
        ...failureLines(service, lastLines),
      ]
    case 'waiting':
    case 'going': {
      const text = progressText(service, withBar)
      return [inColumns(text, text, motion(service)), ...waitLines(service, lastLines)]
    }
  }
}

/** `shown` is as wide as `plain`, whatever colours it has. */
function inColumns(shown: string, plain: string, more: string): string {
  return more === '' ? shown : `${shown}${' '.repeat(Math.max(0, stateWidth - plain.length))} ${more}`
}

function heldByText(service: ServiceProgress): string {
  return service.heldBy.map(({ service: name, condition }) => `${shortOf(name, service)} (${condition})`).join(', ')
}

/** `2.1 s, waited for db`. */
function storyOf({ service }: ServiceProgress, { took, waitedFor }: Noted): string {
  const tookMs = took.get(service)
  const waited = waitedFor.get(service)
  return [tookMs === undefined ? '' : duration(tookMs), waited === undefined ? '' : `waited for ${waited}`]
    .filter((part) => part !== '')
    .join(', ')
}

function progressText(service: ServiceProgress, withBar: boolean): string {
  const text = countText(service)
  return withBar && service.counts.wanted >= barFrom ? `${bar(service.good, service.counts.wanted)}  ${text}` : text
}

function countText({ good, counts, checked }: ServiceProgress): string {
  return `${good}/${counts.wanted} ${checked ? 'healthy' : 'running'}`
}

function bar(part: number, whole: number): string {
  const full = whole === 0 ? 0 : Math.floor((part / whole) * barCells)
  return '█'.repeat(full) + '░'.repeat(barCells - full)
}

function motion({ counts, parallelism, failures, version }: ServiceProgress): string {
  const parts: string[] = []
  if (version > 1 && counts.wanted > 1 && parallelism > 0) parts.push(`${parallelism} at a time`)
  if (counts.starting > 0) parts.push(`${counts.starting} starting`)
  if (counts.waiting > 0) parts.push(`${counts.waiting} waiting`)
  if (counts.restarting > 0) parts.push(`${counts.restarting} restarting`)
  if (counts.unhealthy > 0) parts.push(`${counts.unhealthy} unhealthy`)
  if (failures.length > 0) parts.push(`${failures.length} failed`)
  return parts.join(', ')
}

function waitLines(service: ServiceProgress, lastLines: ProgressDocument['lastLines']): string[] {
  const waits = service.waits.slice(0, failuresShownMax).map(({ message, nodes }) => {
    const where =
      nodes.length > 0
        ? `${nodes.slice(0, 3).join(', ')}${nodes.length > 3 ? ` and ${nodes.length - 3} more` : ''}: `
        : ''
    return `${where}${message}`
  })
  return [...waits, ...failureLines(service, lastLines)]
}

/** Each failure with what the task has said last. */
function failureLines({ failures }: ServiceProgress, lastLines: ProgressDocument['lastLines'] = []): string[] {
  const shown = failures.slice(0, failuresShownMax).flatMap(({ task, name, node, why }) => {
    const words = oneLine(why.trim())
    const said = lastLines.find((each) => each.task === task)
    const lines = said?.lines.map(
      (line, index) => `${index === 0 ? 'last lines:' : ''.padEnd(11)}  ${timeOf(said.at[index])}${line}`,
    )
    return [`${name}${node === null ? '' : ` on ${node}`}: ${words}`, ...(lines ?? [])]
  })
  return failures.length > failuresShownMax ? [...shown, `and ${failures.length - failuresShownMax} more`] : shown
}

/** To the second: `2026-11-23T10:04:11Z  `. */
const timeOf = (iso: string | undefined) => (iso === undefined ? '' : `${iso.slice(0, 19)}Z  `)
/** What follows the first part of the reason is what the failures below say with more words. */
function because({ why, failures }: ServiceProgress): string {
  if (why === null) return ''
  const words = why.replace(/^failed: /, '')
  return `: ${failures.length > 0 ? words.split('; ', 1)[0] : words}`
}

const place = ({ node, counts, homeVolume }: ServiceProgress) =>
  counts.wanted !== 1 || node === null ? '' : homeVolume === null ? node : `${node} (its volume is there)`
const join = (...parts: string[]) => parts.filter((part) => part !== '').join('  ')
