/** `berth status`: the cluster in a few lines, and what an operator should look at. */
import type { StatusDocument } from '../../shared/api.ts'
import { type Context, withClient } from '../context.ts'
import { bytes, duration, percent, plural, trimmed } from '../figures.ts'
import type { Output } from '../output.ts'
import { oneLine } from '../terminal-text.ts'

export async function status(context: Context): Promise<void> {
  const document = await withClient(context, (client) => client.get<StatusDocument>('/status'))
  if (context.json) return context.out.document(document)
  for (const line of statusLines(document, context.out.paint)) context.out.line(line)
}

const leftWidth = 46
const problemsShownMax = 20

export function statusLines(
  { cluster, coordinator, totals, services, problems }: StatusDocument,
  paint: Output['paint'],
): string[] {
  const { tasks } = totals
  const host = URL.canParse(coordinator.url) ? new URL(coordinator.url).hostname : coordinator.url
  const usedCpu = percent(totals.cpuCoresUsed, totals.cpuCores)
  const usedMemory = percent(totals.memoryBytesUsed, totals.memoryBytes)
  const parts = [`${tasks.running} running`, `${tasks.waiting} waiting`, `${tasks.restarting} restarting`]
  if (tasks.starting > 0) parts.push(`${tasks.starting} starting`)
  if (tasks.stopping > 0) parts.push(`${tasks.stopping} stopping`)
  if (tasks.failed > 0) parts.push(`${tasks.failed} failed`)
  const rolling = services.filter(({ rollout }) => rollout.state === 'rolling' || rollout.state === 'rolling-back')
  return [
    pair(
      `cluster ${cluster}   ${nodesText(totals.nodes)}`,
      `coordinator ${host}, up ${duration(coordinator.uptimeMs)}, store ${bytes(coordinator.storeBytes)}`,
    ),
    pair(
      `CPU     ${trimmed(totals.cpuCoresUsed)} of ${trimmed(totals.cpuCores)} cores used (${usedCpu}), ${trimmed(totals.cpuCoresPromised)} promised`,
      `memory  ${bytes(totals.memoryBytesUsed)} of ${bytes(totals.memoryBytes)} used (${usedMemory}), ${bytes(totals.memoryBytesPromised)} promised`,
    ),
    pair(`tasks   ${parts.join(', ')}`, rolloutsText(rolling)),
    ...problems.slice(0, problemsShownMax).map(({ message, hint }) => {
      return `${paint('yellow', '!')} ${oneLine(message)}${hint ? paint('dim', `   → ${hint}`) : ''}`
    }),
    ...(problems.length > problemsShownMax
      ? [`! and ${plural(problems.length - problemsShownMax, 'more problem')}: berth status --json`]
      : []),
  ]
}

function nodesText({ total, ready, drained }: StatusDocument['totals']['nodes']): string {
  const text = ready === total ? `${plural(total, 'node')} ready` : `${ready} of ${plural(total, 'node')} ready`
  return drained > 0 ? `${text}, ${drained} drained` : text
}

function rolloutsText(rolling: StatusDocument['services']): string {
  if (rolling.length === 0) return ''
  const told = rolling.slice(0, 3).map(({ name, rollout, counts }) => `${name} ${rollout.done}/${counts.wanted}`)
  return `rollouts  ${told.join(', ')}${rolling.length > 3 ? ` and ${rolling.length - 3} more` : ''}`
}

function pair(left: string, right: string): string {
  if (right === '') return left
  return left.length < leftWidth ? `${left.padEnd(leftWidth)} ${right}` : `${left}   ${right}`
}
