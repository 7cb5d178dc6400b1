/** `berth stats`: what a service, task, stack or node used over time, as a plot and figures. */
import type { MetricsDocument } from '../../shared/api.ts'
import { BerthError } from '../../shared/errors.ts'
import { type Client, segment } from '../client.ts'
import { type Context, withClient } from '../context.ts'
import { duration } from '../figures.ts'
import { metricFigure } from '../metric-figures.ts'
import { plotLines } from '../plot.ts'
import { type Column, tableLines } from '../table.ts'
import { parseTarget } from '../target.ts'

export type StatsOptions = {
  metric?: string[]
  /** Epoch ms. */
  since?: number
  /** Epoch ms. */
  until?: number
  by?: string
  reduce?: string
}

type Named = { stack: string } | { service: string } | { task: string } | { node: string }

const SINCE_DEFAULT_MS = 3_600_000
const METRICS_DEFAULT = ['cpu', 'memory']
const ROWS = 8
const COLUMNS_MAX = 140
/** Of a plot that goes into a pipe. */
const COLUMNS_UNSEEN = 100
/** Of many lines those that used most. */
const ROWS_MAX = 20

export async function stats(context: Context, name: string, options: StatsOptions): Promise<void> {
  const { metric: metrics = METRICS_DEFAULT, by, reduce } = options
  // One time for all that is asked: plots and pages must have the same steps.
  const { until = Date.now(), since = until - SINCE_DEFAULT_MS } = options
  await withClient(context, async (client) => {
    const named = await whatIsNamed(client, name)
    const answers: { whole: MetricsDocument; parts: MetricsDocument }[] = []
    for (const metric of metrics) {
      const query = { metric, ...named, since, until, reduce }
      const whole = await client.get<MetricsDocument>('/v1/metrics', { ...query, by: 'all' })
      const parts = await allLines(client, { ...query, by: by ?? partsOf(named) })
      answers.push({ whole, parts })
    }
    if (context.json) return context.out.document(answers.map(({ parts }) => parts))
    for (const [i, answer] of answers.entries()) {
      if (i > 0) context.out.line('')
      for (const line of textOf(name, answer, context)) context.out.line(line)
    }
  })
}

/** All pages as one. */
async function allLines(client: Client, query: Parameters<Client['get']>[1]): Promise<MetricsDocument> {
  const answer = await client.get<MetricsDocument>('/v1/metrics', query)
  while (answer.next !== null) {
    const page = await client.get<MetricsDocument>('/v1/metrics', { ...query, after: answer.next })
    answer.lines.push(...page.lines)
    answer.next = page.next
  }
  return answer
}

function partsOf(named: Named): string {
  if ('node' in named) return 'node'
  return 'stack' in named ? 'service' : 'task'
}

/** A name without an underscore may be a node's or a stack's: the node goes first. What is gone has no document, but points. */
async function whatIsNamed(client: Client, name: string): Promise<Named> {
  const target = parseTarget(name)
  if ('task' in target) return target
  const isNode = await client.get(`/v1/nodes/${segment(name)}`).then(
    () => true,
    (error: unknown) => {
      if (error instanceof BerthError && error.code === 'node-not-found') return false
      throw error
    },
  )
  return isNode ? { node: name } : target
}

function textOf(
  name: string,
  { whole, parts }: { whole: MetricsDocument; parts: MetricsDocument },
  { out }: Context,
): string[] {
  const { metric, unit, reduce, stepSeconds, from, lines } = whole
  const [line] = lines
  const title = `${out.paint('bold', `${name}  ${metric}`)}  ${unit}, ${reduce} of ${duration(stepSeconds * 1000)} each`
  if (line === undefined) return [title, 'nothing was measured in this time']
  const format = (value: number) => metricFigure(value, unit)
  const plot = plotLines({
    points: line.points,
    fromMs: Date.parse(from),
    stepMs: stepSeconds * 1000,
    columns: Number.isFinite(out.columns) ? Math.min(out.columns, COLUMNS_MAX) : COLUMNS_UNSEEN,
    rows: ROWS,
    isOfBytes: unit.startsWith('bytes'),
    format,
  })
  return [title, ...plot, ...tableOf(parts, format, out.columns)]
}

const COLUMNS: Column[] = [
  { title: 'NAME', shrinkTo: 16 },
  { title: 'LAST', align: 'right' },
  { title: 'MEAN', align: 'right' },
  { title: 'HIGHEST', align: 'right' },
  { title: 'LOWEST', align: 'right' },
]

function tableOf({ lines }: MetricsDocument, format: (value: number) => string, columns: number): string[] {
  const rows = lines
    .map(({ name, points }) => ({ name, points: points.filter((point) => point !== null) }))
    .map(({ name, points }) => ({
      name,
      last: points.at(-1) ?? 0,
      mean: points.reduce((sum, point) => sum + point, 0) / Math.max(1, points.length),
      highest: Math.max(...points),
      lowest: Math.min(...points),
    }))
  const shown = rows.length > ROWS_MAX ? rows.toSorted((a, b) => b.mean - a.mean).slice(0, ROWS_MAX) : rows
  const cells = shown.map(({ name, last, mean, highest, lowest }) => [
    name,
    ...[last, mean, highest, lowest].map(format),
  ])
  const more = rows.length > shown.length ? [`and ${rows.length - shown.length} that used less`] : []
  return [...tableLines(COLUMNS, cells, columns), ...more]
}
