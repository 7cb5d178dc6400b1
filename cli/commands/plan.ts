/** `berth plan`: what `berth deploy` with the same files would do. */
import type {
  PlanBody,
  PlanDocument,
  ServicePlanDocument,
  SurvivalDocument,
  UnplacedDocument,
} from '../../shared/api.ts'
import { type Context, withClient } from '../context.ts'
import { plural } from '../figures.ts'
import type { Output } from '../output.ts'
import { changeLines, countText, unplacedLines } from '../question-view.ts'
import { type ReadOptions, readStack } from '../read-stack.ts'

export type PlanOptions = ReadOptions & { prune: boolean }

/** Something would change, and all of it fits. Beside 0 (nothing would) and 1 (something would be refused, or wait). */
export const WOULD_CHANGE_EXIT = 5

/** Sets the exit code of the process; see WOULD_CHANGE_EXIT. */
export async function plan(context: Context, options: PlanOptions): Promise<void> {
  const stack = await readStack(context, options)
  const body: PlanBody = { stack, prune: options.prune }
  const answer = await withClient(context, (client) => client.post<PlanDocument>('/v1/plan', body))
  process.exitCode = planExit(answer)
  if (context.json) return context.out.document(answer)
  for (const warning of answer.warnings) context.out.note(`warning: ${warning}`)
  for (const line of planLines(answer, context.out.paint)) context.out.line(line)
}

export function planExit({ refused, unplaced, changesNothing }: PlanDocument): number {
  if (refused !== null || unplaced.length > 0) return 1
  return changesNothing ? 0 : WOULD_CHANGE_EXIT
}

export function planLines(answer: PlanDocument, paint: Output['paint']): string[] {
  if (answer.refused && answer.services.length === 0) return [`${paint('red', '✗ refused')}: ${answer.refused.message}`]
  const width = Math.max(...answer.services.map(({ service }) => service.length), 8)
  const others = answer.changes.filter(({ service }) => !answer.services.some((each) => each.service === service))
  return [
    ...answer.services.flatMap((service) => serviceLines(service, width)),
    ...changeLines(others),
    ...unplacedLines(answer.unplaced, paint),
    ...(answer.refused ? [`${paint('red', '✗ refused')}: ${answer.refused.message}`] : []),
    ...lastLines(answer),
    ...(answer.isComplete ? [] : ['there is more to come than is looked at; what is told is how it begins']),
  ]
}

function serviceLines(service: ServicePlanDocument, width: number): string[] {
  const name = service.service.padEnd(width)
  const { differences } = service
  const shown = differences
    .slice(0, 3)
    .map(({ path, before, after }) => `${path} ${before ?? '(none)'} → ${after ?? '(none)'}`)
  if (differences.length > 3) shown.push(`and ${differences.length - 3} more`)
  const what = {
    new: 'new',
    changed: `change ${shown.join(', ')}`,
    again: 'another try',
    unchanged: 'no change',
    removed: 'removed',
  }
  const parts = [what[service.change], countText(service.counts), rolloutText(service), nodesText(service)]
  const held = service.heldBy.map(
    ({ service: dependency, condition }) => `${' '.repeat(width)}  would wait for ${dependency} (${condition})`,
  )
  return [`${name}  ${parts.filter((part) => part !== '').join('   ')}`, ...held]
}

function rolloutText({ rollout }: ServicePlanDocument): string {
  if (!rollout) return ''
  const pace = rollout.parallelism === 0 ? 'all at once' : `${rollout.parallelism} at a time`
  return `${pace}, ${rollout.order}`
}

function nodesText({ nodes, counts }: ServicePlanDocument): string {
  const names = Object.keys(nodes).sort()
  if (names.length === 0 || counts.replace > 0) return ''
  const shown = names.slice(0, 5).map((name) => (nodes[name] === 1 ? name : `${name} × ${nodes[name]}`))
  return `→ ${shown.join(', ')}${names.length > 5 ? ` and ${names.length - 5} more nodes` : ''}`
}

function lastLines({ refused, unplaced, changesNothing, survival }: PlanDocument): string[] {
  const said = refused ? 'the deployment would be refused' : unplacedText(unplaced, changesNothing)
  if (!survival) return [said]
  const [first, ...broken] = survivalLines(survival)
  return [`${said}; ${first}`, ...broken]
}

function unplacedText(unplaced: readonly UnplacedDocument[], changesNothing: boolean): string {
  const count = unplaced.reduce((sum, each) => sum + each.count, 0)
  if (count > 0) return `${plural(count, 'task')} would wait`
  return changesNothing ? 'nothing would change' : 'nothing is refused'
}

const BROKEN_SHOWN = 3

/** Which node could be lost afterwards, and below that a line for each of the first that could not: with what would not fit then. */
export function survivalLines({ safe, broken, unknown }: SurvivalDocument): string[] {
  const notTried = unknown > 0 ? `; ${plural(unknown, 'node')} not tried` : ''
  const lines = broken
    .slice(0, BROKEN_SHOWN)
    .map(
      ({ node, services }) => `  ${node} could not: ${services[0]?.message ?? ''}${services.length > 1 ? ', …' : ''}`,
    )
  if (broken.length > BROKEN_SHOWN) lines.push(`  nor could ${broken.length - BROKEN_SHOWN} more (--json)`)
  if (broken.length === 0)
    return [
      `after this any ${safe.length > 1 ? 'one node' : 'node'} could be lost and everything would still fit${notTried}`,
    ]
  if (safe.length === 0) return [`after this no node could be lost${notTried}`, ...lines]
  const could = safe.length <= 3 ? safe.join(' or ') : `any of ${safe.length} nodes`
  return [`after this ${could} could be lost and everything would still fit${notTried}`, ...lines]
}
