/** `berth why TASK|SERVICE`: why there, why waiting, why it stands still. */
import type { CandidateDocument, PlacementDocument, WaitDocument, WhyDocument } from '../../shared/api.ts'
import { segment } from '../client.ts'
import { type Context, withClient } from '../context.ts'
import type { Output } from '../output.ts'
import { type Column, tableLines } from '../table.ts'
import { oneLine } from '../terminal-text.ts'

export async function why(context: Context, name: string): Promise<void> {
  const answer = await withClient(context, (client) => client.get<WhyDocument>(`/v1/why/${segment(name)}`))
  if (context.json) return context.out.document(answer)
  for (const line of whyLines(answer, context.out.paint, context.out.columns)) context.out.line(line)
}

const eventsShown = 5
const placementsShown = 5

export function whyLines(answer: WhyDocument, paint: Output['paint'], columns: number): string[] {
  return [
    oneLine(answer.summary),
    ...answer.waits.flatMap((wait) => waitLines(wait, answer)),
    ...answer.reasons
      .filter(({ message }) => !answer.summary.includes(message))
      .map(({ message, hint }) => `  ${oneLine(message)}${hint ? paint('dim', `   → ${hint}`) : ''}`),
    ...placementLines(answer, paint, columns),
    ...eventLines(answer, paint),
  ]
}

function waitLines({ tasks, count, checks, smallestChanges }: WaitDocument, { about }: WhyDocument): string[] {
  const named = tasks.slice(0, 3).join(', ')
  const who = about === 'task' ? [] : [`  ${named}${count > 3 ? ` and ${count - 3} more` : ''}`]
  const indent = about === 'task' ? '  ' : '    '
  if (checks.length === 0) return [...who, `${indent}it would fit now; the next beat gives it a node`]
  return [
    ...who,
    ...checks.map(({ message, nodes }) => `${indent}${message}${someNodes(message, nodes)}`),
    ...(smallestChanges.length > 0
      ? [`${indent}smallest change: ${smallestChanges.map(({ message }) => message).join(', or ')}`]
      : []),
  ]
}

function someNodes(message: string, nodes: readonly string[]): string {
  if (nodes.length === 0 || (nodes[0] !== undefined && message.startsWith(`${nodes[0]}:`))) return ''
  const shown = nodes.slice(0, 3).join(', ')
  return `  (${shown}${nodes.length > 3 ? ', …' : ''})`
}

// ---------------------------------------------------------------- the choice

function placementLines(answer: WhyDocument, paint: Output['paint'], columns: number): string[] {
  if (answer.about === 'task') return answer.placements.flatMap((each) => candidateTable(each, paint, columns))
  const [first] = answer.placements
  if (!first) return []
  const shown = answer.placements.slice(0, placementsShown)
  const left = answer.placed - shown.length
  return [
    ...shown.map(
      ({ task, node, policy, fitting, considered }) =>
        `  ${task} on ${node}  by ${policy}, ${fitting} of ${considered} nodes could take it`,
    ),
    ...(left > 0 ? [`  and ${left} more; berth why ${first.task} shows the choice for one`] : []),
  ]
}

export function candidateTable(placement: PlacementDocument, paint: Output['paint'], columns: number): string[] {
  const { candidates, asOf, fitting, considered } = placement
  const parts = [...new Set(candidates.flatMap(({ score }) => Object.keys(score)))].slice(0, PARTS_MAX)
  const titles: Column[] = [
    { title: 'node' },
    { title: 'fits' },
    ...parts.map((part): Column => ({ title: partTitle(part), align: 'right' })),
    { title: '', shrinkTo: 20 },
  ]
  const rows = candidates.map((each) => [
    each.node,
    each.refusal === null ? 'yes' : 'no',
    ...parts.map((part) => figure(part, each.score[part])),
    lastCell(each),
  ])
  const when = asOf === 'now' ? ['  as things are now (it was placed together with many others):'] : []
  const left = considered - candidates.length
  const rest = left > 0 ? [`  and ${left} more nodes; ${fitting} of ${considered} could take it`] : []
  const lines = tableLines(titles, rows, columns - 2).map(
    (line, index) => `  ${index === 0 ? paint('dim', line) : line}`,
  )
  return [...when, ...lines, ...rest]
}

const PARTS_MAX = 6

function lastCell({ isChosen, refusal }: CandidateDocument): string {
  return isChosen ? '← chosen' : (refusal ?? '')
}

/** `tasksOfService` → `tasks of service`, `tasksIn node.labels.zone` → `tasks in zone`. */
function partTitle(part: string): string {
  return part
    .replace(' node.labels.', ' ')
    .replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)
    .replace('cpu', 'CPU')
}

function figure(part: string, value: number | undefined): string {
  if (value === undefined) return '-'
  return /share|load|pressure/i.test(part) ? `${Math.round(value * 100)} %` : String(value)
}

function eventLines({ events }: WhyDocument, paint: Output['paint']): string[] {
  const shown = events.slice(-eventsShown)
  return shown.map(({ at, message }) => paint('dim', `  ${at}  ${oneLine(message)}`))
}
