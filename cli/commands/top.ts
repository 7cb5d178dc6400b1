/** `berth top`: who uses most now. Full screen on a terminal; else, and with --json, once. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { TopDocument, TopRow } from '../../shared/api.ts'
import { BerthError } from '../../shared/errors.ts'
import type { TopSort } from '../../shared/metric-names.ts'
import type { Client } from '../client.ts'
import { type Context, withClient } from '../context.ts'
import { bytes, cores, percent, plural } from '../figures.ts'
import { cut } from '../live.ts'
import { type Column, tableLines } from '../table.ts'
import { forTerminal } from '../terminal-text.ts'

export type TopOptions = {
  nodes?: boolean
  sort: TopSort
  reverse?: boolean
  limit: number
  stack?: string
  service?: string
  node?: string
  /** ms */
  interval: number
}

const SCREEN_BEGIN = '\x1b[?1049h\x1b[?25l'
const SCREEN_END = '\x1b[?25h\x1b[?1049l'
const HOME = '\x1b[H'
const CLEAR_BELOW = '\x1b[J'
const CLEAR_LINE = '\x1b[K'

const AWAY = new Set<string>(['unreachable', 'timed-out', 'too-many-requests'])

/** What a key sorts by. */
const KEYS: Record<string, TopSort> = {
  c: 'cpu',
  m: 'memory',
  n: 'network',
  d: 'disk',
  t: 'throttled',
  p: 'processes',
  s: 'restarts',
  a: 'name',
}
/** The way out comes first: a narrow terminal cuts the end off. */
const HELP =
  'q quit  o nodes/tasks  r reverse  sort: c cpu  m memory  n network  d disk  t throttled  p procs  s restarts  a name'

export async function top(context: Context, options: TopOptions): Promise<void> {
  const { out, json } = context
  await withClient(context, async (client) => {
    if (!json && out.isTerminal && process.stdin.isTTY) return fullScreen(context, client, options)
    const answer = await ask(client, options)
    if (json) return out.document(answer)
    for (const line of topLines(answer, options, out.columns)) out.line(line)
  })
}

function ask(client: Client, { nodes, sort, reverse, limit, stack, service, node }: TopOptions): Promise<TopDocument> {
  const of = nodes ? 'node' : 'task'
  return client.get<TopDocument>('/v1/top', { of, sort, reverse, limit, node, ...(!nodes && { stack, service }) })
}

/** Until q or Ctrl-C. A coordinator that is away is said in the last line, over what was there before. */
async function fullScreen({ out }: Context, client: Client, given: TopOptions): Promise<void> {
  const options = { ...given }
  const stop = new AbortController()
  let wake = new AbortController()
  const onKey = (data: Buffer) => {
    for (const key of data.toString('latin1')) {
      if (key === 'q' || key === '\x03') stop.abort()
      else if (key === 'r') options.reverse = !options.reverse
      else if (key === 'o') options.nodes = !options.nodes
      else if (KEYS[key] !== undefined) options.sort = KEYS[key]
    }
    wake.abort()
  }
  const { stdin, stdout } = process
  const redraw = () => wake.abort()
  out.raw(SCREEN_BEGIN)
  stdin.setRawMode(true)
  stdin.on('data', onKey)
  stdout.on('resize', redraw)
  let answer: TopDocument | null = null
  let away = ''
  try {
    while (!stop.signal.aborted) {
      wake = new AbortController()
      try {
        answer = await ask(client, { ...options, limit: Math.max(1, out.rows - 4) })
        away = ''
      } catch (error) {
        if (!(error instanceof BerthError) || !AWAY.has(error.code)) throw error
        away = error.message
      }
      const lines = answer === null ? [] : topLines(answer, options, out.columns)
      const screen = [...lines.slice(0, out.rows - 2), '', away === '' ? HELP : away]
      out.raw(
        `${HOME}${screen.map((line) => `${cut(forTerminal(line, true), out.columns)}${CLEAR_LINE}`).join('\r\n')}${CLEAR_BELOW}`,
      )
      await sleep(options.interval, undefined, { signal: AbortSignal.any([stop.signal, wake.signal]) }).catch(() => {})
    }
  } finally {
    stdin.off('data', onKey)
    stdout.off('resize', redraw)
    stdin.setRawMode(false)
    stdin.pause()
    out.raw(SCREEN_END)
  }
}

/** Beside what everybody wants to see there is room for two: what goes over the network, or to and from disks when sorted by it. */
const taskColumns = (sort: TopSort): Column[] => [
  { title: 'TASK', shrinkTo: 16 },
  { title: 'NODE', shrinkTo: 8 },
  { title: 'CPU', align: 'right' },
  { title: 'OF', align: 'right' },
  { title: 'THROTTLED', align: 'right' },
  { title: 'MEMORY', align: 'right' },
  { title: 'OF', align: 'right' },
  { title: sort === 'disk' ? 'READ' : 'RECEIVED', align: 'right' },
  { title: sort === 'disk' ? 'WRITTEN' : 'SENT', align: 'right' },
  { title: 'PROCS', align: 'right' },
  { title: 'RESTARTS', align: 'right' },
]

const NODE_COLUMNS: Column[] = [
  { title: 'NODE', shrinkTo: 16 },
  { title: 'CPU', align: 'right' },
  { title: 'OF', align: 'right' },
  { title: 'MEMORY', align: 'right' },
  { title: 'OF', align: 'right' },
  { title: 'RECEIVED', align: 'right' },
  { title: 'SENT', align: 'right' },
  { title: 'READ', align: 'right' },
  { title: 'WRITTEN', align: 'right' },
]

export function topLines(
  answer: TopDocument,
  { nodes = false, sort, reverse = false }: Pick<TopOptions, 'nodes' | 'sort' | 'reverse'>,
  columns: number,
): string[] {
  const { count, cpuCoresUsed, memoryBytesUsed, rows } = answer
  const what = plural(count, nodes ? 'node' : 'task')
  const shown = rows.length < count ? `, ${rows.length} shown` : ''
  const order = `by ${sort}${reverse ? ', smallest first' : ''}`
  const cells = rows.map(nodes ? nodeCells : (row) => taskCells(row, sort))
  return [
    `${what}${shown}: ${cores(cpuCoresUsed)} cores, ${bytes(memoryBytesUsed)}; ${order}`,
    ...tableLines(nodes ? NODE_COLUMNS : taskColumns(sort), cells, columns),
  ]
}

function taskCells(row: TopRow, sort: TopSort): string[] {
  const moved =
    sort === 'disk'
      ? [row.diskReadBytesPerSecond, row.diskWriteBytesPerSecond]
      : [row.networkReceiveBytesPerSecond, row.networkSendBytesPerSecond]
  return [
    row.name,
    row.node,
    cores(row.cpuCoresUsed),
    row.cpuCoresMax === null ? '-' : String(row.cpuCoresMax),
    row.throttledShare === null ? '-' : percent(row.throttledShare, 1),
    bytes(row.memoryBytesUsed),
    orNone(row.memoryBytesMax, bytes),
    ...moved.map((figure) => orNone(figure, perSecond)),
    orNone(row.processes, String),
    orNone(row.restarts, String),
  ]
}

function nodeCells(row: TopRow): string[] {
  return [
    row.name,
    cores(row.cpuCoresUsed),
    orNone(row.cpuCoresMax, String),
    bytes(row.memoryBytesUsed),
    orNone(row.memoryBytesMax, bytes),
    orNone(row.networkReceiveBytesPerSecond, perSecond),
    orNone(row.networkSendBytesPerSecond, perSecond),
    orNone(row.diskReadBytesPerSecond, perSecond),
    orNone(row.diskWriteBytesPerSecond, perSecond),
  ]
}

function perSecond(count: number): string {
  return `${bytes(count)}/s`
}

function orNone(value: number | null, text: (value: number) => string): string {
  return value === null ? '-' : text(value)
}
