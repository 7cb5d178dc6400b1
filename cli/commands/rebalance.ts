/** `berth rebalance`: shows which moves would make the cluster better; `--apply` makes them, `--undo` takes the last ones back. */
import type {
  ChangeAnswer,
  LastRebalanceAnswer,
  PlannedMove,
  RebalanceAnswer,
  RebalanceDocument,
} from '../../shared/api.ts'
import { BerthError } from '../../shared/errors.ts'
import type { Client } from '../client.ts'
import { type Context, withClient } from '../context.ts'
import { duration, percent, plural } from '../figures.ts'
import { leavingOnInterrupt } from '../interrupt.ts'
import { tableLines } from '../table.ts'
import { setCluster } from './settings.ts'

/** `timeout` in ms. */
export type RebalanceOptions = {
  moves?: number
  atOnce?: number
  apply?: boolean
  undo?: boolean
  /** From now on so many moves an hour by itself, or `off`. */
  auto?: string
  detach?: boolean
  timeout: number
}

const POLL_MS = 300
const HINT = 'berth rebalance shows how far it is'

export async function rebalance(context: Context, options: RebalanceOptions): Promise<void> {
  const deeds = (['apply', 'undo', 'auto'] as const).filter((deed) => options[deed] !== undefined)
  if (deeds.length > 1) {
    const named = deeds.map((deed) => `--${deed}`).join(' and ')
    throw new BerthError('invalid-request', `${named} exclude each other`)
  }
  if (options.auto !== undefined) return setCluster(context, [`rebalance=${options.auto}`])
  await withClient(context, async (client) => {
    if (options.undo) return undo(context, client, options)
    const answer = await client.get<RebalanceAnswer>('/v1/rebalance', { moves: options.moves })
    if (options.apply && answer.last?.state === 'moving') throw underWay(answer.last)
    if (!options.apply || answer.plan.moves.length === 0) return show(context, answer)
    if (!context.json) for (const line of planLines(answer.plan, context.out.columns)) context.out.line(line)
    const moves = answer.plan.moves.map(({ task, to }) => ({ task, to }))
    await client.post<ChangeAnswer>('/v1/rebalance', { moves, atOnce: options.atOnce })
    await follow(context, client, options)
  })
}

function underWay({ number, moves }: RebalanceDocument): BerthError {
  const left = moves.filter(({ state }) => state === 'waiting' || state === 'moving').length
  return new BerthError(
    'conflict',
    `rebalance ${number} is under way, ${left} moves left; nothing was changed. ${HINT}`,
  )
}

async function undo(context: Context, client: Client, options: RebalanceOptions): Promise<void> {
  await client.post<ChangeAnswer>('/v1/rebalance/undo', { atOnce: options.atOnce })
  await follow(context, client, options)
}

function show({ out, json }: Context, answer: RebalanceAnswer): void {
  if (json) {
    out.document(answer)
    return
  }
  if (answer.last?.state === 'moving') {
    for (const line of lastLines(answer.last)) out.line(line)
    return
  }
  for (const line of planLines(answer.plan, out.columns)) out.line(line)
  if (answer.plan.moves.length > 0) out.note('nothing was changed; berth rebalance --apply moves them')
}

// ---------------------------------------------------------------- until it is over

async function follow(context: Context, client: Client, options: RebalanceOptions): Promise<void> {
  const { out, json } = context
  if (options.detach) {
    const { last } = await client.get<LastRebalanceAnswer>('/v1/rebalance/last')
    return json ? out.document(last) : out.line('on its way')
  }
  const last = await leavingOnInterrupt(context, HINT, () => untilOver(context, client, options.timeout))
  if (json) out.document(last)
  else for (const line of lastLines(last)) out.line(line)
  if (last.state === 'moving') throw new BerthError('timed-out', `rebalance ${last.number} goes on; ${HINT}`)
  if (last.state === 'stopped') {
    throw new BerthError('failed', `rebalance ${last.number} was stopped: ${last.why}`, {
      details: { rebalance: last },
    })
  }
}

async function untilOver({ out, json }: Context, client: Client, timeoutMs: number): Promise<RebalanceDocument> {
  const end = performance.now() + timeoutMs
  let told = ''
  for (;;) {
    const { last } = await client.get<LastRebalanceAnswer>('/v1/rebalance/last')
    if (last === null) throw new BerthError('failed', 'the coordinator knows of no rebalance any more')
    if (last.state !== 'moving' || performance.now() >= end) return last
    const line = `${doneOf(last)} of ${plural(last.moves.length, 'task')} moved`
    if (line !== told && !json) out.line(line)
    told = line
    await new Promise((resolve) => setTimeout(resolve, POLL_MS))
  }
}

function doneOf({ moves }: RebalanceDocument): number {
  return moves.filter(({ state }) => state === 'done').length
}

// ---------------------------------------------------------------- words

export function planLines({ moves, before, after, isCut }: RebalanceAnswer['plan'], columns: number): string[] {
  if (moves.length === 0) return ['every task is where its policy would put it now']
  const rows = moves.map((move) => [
    `${move.service}.${move.slot}`,
    move.from,
    move.to,
    gainWords(move),
    duration(move.cost.upMs),
  ])
  const titles = [
    { title: 'task', shrinkTo: 12 },
    { title: 'from', shrinkTo: 8 },
    { title: 'to', shrinkTo: 8 },
    { title: 'why', shrinkTo: 20 },
    { title: 'ends a run of' },
  ]
  const share = ({ node, share: part }: typeof before.fullest) => `${node ?? 'none'} ${percent(part, 1)}`
  return [
    `${plural(moves.length, 'move')}, in this order, start-first`,
    ...tableLines(titles, rows, columns),
    `fullest node   ${share(before.fullest)} → ${share(after.fullest)}     busiest   ${share(before.busiest)} → ${share(after.busiest)}`,
    ...(isCut ? ['there may be more to gain: ask again after these'] : []),
  ]
}

/** What the policy saw on either side. */
function gainWords({ service, policy, figures, groups }: PlannedMove): string {
  if (groups) return `${groups.from} and ${groups.to} tasks of ${service} by label`
  const { from, to } = figures
  const [here, there] = [from.tasksOfService, to.tasksOfService]
  if (here !== undefined && there !== undefined && here !== there) {
    return `${here + 1} and ${there} tasks of ${service} there`
  }
  const most = mostChanged(from, to)
  return most ? `${most.words} ${percent(most.from, 1)} → ${percent(most.to, 1)} (${policy})` : policy
}

/** Shares among the policies' figures, as people call them. */
const SHARES = {
  cpuLoadAfter: 'measured CPU',
  memoryLoadAfter: 'measured memory',
  cpuShareAfter: 'CPU of its tasks',
  memoryShareAfter: 'memory of its tasks',
  cpuShareLeft: 'CPU left over',
  memoryShareLeft: 'memory left over',
  pressure: 'time in which something waits',
}

type Figures = PlannedMove['figures']['from']

function mostChanged(before: Figures, after: Figures): { words: string; from: number; to: number } | null {
  const changes = Object.entries(SHARES).flatMap(([name, words]) => {
    const [from, to] = [before[name], after[name]]
    return from === undefined || to === undefined ? [] : [{ words, from, to }]
  })
  return changes.sort((a, b) => Math.abs(b.from - b.to) - Math.abs(a.from - a.to))[0] ?? null
}

export function lastLines(last: RebalanceDocument): string[] {
  const head = `rebalance ${last.number}  ${doneOf(last)} of ${plural(last.moves.length, 'task')} moved${last.state === 'done' ? '' : `, ${last.state}`}`
  const other = last.moves.filter(({ state }) => state !== 'done')
  return [
    head,
    ...other.map(
      ({ service, slot, to, state, why }) => `  ${service}.${slot} to ${to}: ${state}${why ? `, ${why}` : ''}`,
    ),
    ...(last.state === 'moving' || doneOf(last) === 0 ? [] : ['berth rebalance --undo takes it back']),
  ]
}
