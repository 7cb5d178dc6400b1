/** Questions to the metrics store: which series are meant, and what a line of a plot makes of their points. */
import type { Instant } from '../../shared/clock.ts'
import { BerthError } from '../../shared/errors.ts'
import { METRICS, type Metric, type MetricGrouping, metricNamed } from '../../shared/metric-names.ts'
import type { MetricsStore } from './metrics-store.ts'
import { type Subject, seriesOfSubject } from './subjects.ts'
import { TIERS, tierFor } from './tiers.ts'

/** What becomes of the points of a step. A percentile is over all points of all series of the group. */
export type Reduce = { kind: 'mean' | 'max' | 'min' | 'rate' } | { kind: 'percentile'; percent: number }

export type MetricsQuery = {
  metric: string
  stack?: string
  service?: string
  /** A task's id or name. */
  task?: string
  node?: string
  /** Of nodes, or of tasks; else what the rest says. */
  of?: 'node' | 'task'
  /** Epoch seconds; `to` is not part of it. */
  from: number
  to: number
  stepSeconds: number
  reduce: Reduce
  by: MetricGrouping
  /** Only lines behind the one of this name. */
  after?: string
}

export type MetricsLine = {
  name: string
  /** How many series it is made of. */
  series: number
  /** One for each step; null: nothing was measured. */
  points: (number | null)[]
}

export type MetricsAnswer = {
  metric: Metric
  of: 'node' | 'task'
  from: number
  stepSeconds: number
  /** How finely what was read is kept. */
  resolutionSeconds: number
  lines: MetricsLine[]
  /** For `after`: there are more lines than the bounds let one answer have; null: these were the last. */
  next: string | null
}

/** Series that one answer is made of. */
export const SERIES_READ_MAX = 5_000
export const LINES_MAX = 500
export const STEPS_MAX = 2_000
/** About a second's work. */
export const POINTS_READ_MAX = 10_000_000

/** @throws BerthError `invalid-request` that tells how to narrow it */
export async function askMetrics(store: MetricsStore, query: MetricsQuery, now: Instant): Promise<MetricsAnswer> {
  const metric = metricNamed(query.metric)
  if (metric === undefined) throw unknownMetric(query.metric)
  const of = query.of ?? subjectKind(metric, query)
  if (!metric.of.includes(of)) throw notOf(metric, of)
  const steps = Math.ceil((query.to - query.from) / query.stepSeconds)
  if (!(steps >= 1 && steps <= STEPS_MAX)) throw wrongTime(query, steps)
  const subjects = subjectsOf(store, query, of)
  const tier = tierFor(query.from, query.stepSeconds, Math.floor(now / 1000), query.reduce.kind === 'percentile')
  const resolutionSeconds = TIERS[tier]!.stepSeconds
  const { groups, next } = pageOf(query, metric, groupsOf(subjects, query.by), resolutionSeconds)
  const lines = groups.map(({ name, members }) => ({ name, members, reducers: [] as Reducer[] }))
  const bySeries = new Map<number, Reducer>()
  for (const line of lines) {
    const pool = query.reduce.kind === 'percentile' ? reducerFor(query.reduce, metric, steps, query.stepSeconds) : null
    for (const subject of line.members) {
      const reducer = pool ?? reducerFor(query.reduce, metric, steps, query.stepSeconds)
      bySeries.set(seriesOfSubject(subject, metric.number), reducer)
      if (pool === null || line.reducers.length === 0) line.reducers.push(reducer)
    }
  }
  await store.read({
    series: [...bySeries.keys()],
    from: query.from,
    to: query.to,
    tier,
    visit: (series, second, value, peak) =>
      bySeries.get(series)!.add(Math.floor((second - query.from) / query.stepSeconds), value, peak),
  })
  const across = acrossOf(metric, query.reduce)
  const answered = lines
    .map(({ name, members, reducers }) => ({
      name,
      series: members.length,
      points: combine(reducers, steps, across, metric),
    }))
    .filter(({ points }) => points.some((point) => point !== null))
  return { metric, of, from: query.from, stepSeconds: query.stepSeconds, resolutionSeconds, lines: answered, next }
}

// ---------------------------------------------------------------- which series

function subjectKind(metric: Metric, { stack, service, task }: MetricsQuery): 'node' | 'task' {
  if (stack !== undefined || service !== undefined || task !== undefined) return 'task'
  return metric.of.includes('node') ? 'node' : 'task'
}

function subjectsOf(store: MetricsStore, { stack, service, task, node }: MetricsQuery, of: 'node' | 'task'): Subject[] {
  const found: Subject[] = []
  for (const subject of store.subjects()) {
    if (subject.kind !== of || (node !== undefined && subject.node !== node)) continue
    if (subject.kind === 'task') {
      if (stack !== undefined && subject.stack !== stack) continue
      if (service !== undefined && subject.service !== service) continue
      if (task !== undefined && subject.id !== task && subject.name !== task) continue
    }
    found.push(subject)
  }
  return found
}

function lineOf(subject: Subject, by: MetricGrouping): string {
  if (by === 'all') return 'all'
  if (by === 'node' || subject.kind === 'node') return subject.node
  return by === 'service' ? subject.service : subject.name
}

type Group = { name: string; members: Subject[] }

const byName = new Intl.Collator('en', { numeric: true })

/** In the order of their names. */
function groupsOf(subjects: Subject[], by: MetricGrouping): Group[] {
  const groups = new Map<string, Group>()
  for (const subject of subjects) {
    const name = lineOf(subject, by)
    const group = groups.get(name)
    if (group) group.members.push(subject)
    else groups.set(name, { name, members: [subject] })
  }
  return [...groups.values()].sort((a, b) => byName.compare(a.name, b.name))
}

/** As many lines as the bounds let one answer have, and after which one the next answer begins. */
function pageOf(
  query: MetricsQuery,
  metric: Metric,
  groups: Group[],
  resolutionSeconds: number,
): { groups: Group[]; next: string | null } {
  const { after } = query
  const left = after === undefined ? groups : groups.filter(({ name }) => byName.compare(name, after) > 0)
  const pointsOfSeries = (query.to - query.from) / resolutionSeconds
  let series = 0
  let fitting = 0
  for (const { members } of left.slice(0, LINES_MAX)) {
    series += members.length
    if (series > SERIES_READ_MAX || series * pointsOfSeries > POINTS_READ_MAX) break
    fitting++
  }
  if (fitting === left.length) return { groups: left, next: null }
  if (fitting === 0) throw tooMuch(query, metric, left[0]!, Math.ceil(left[0]!.members.length * pointsOfSeries))
  return { groups: left.slice(0, fitting), next: left[fitting - 1]!.name }
}

// ---------------------------------------------------------------- what becomes of the points of a step

type Reducer = { add(step: number, value: number, peak: number): void; result(step: number): number | null }

function reducerFor(reduce: Reduce, metric: Metric, steps: number, stepSeconds: number): Reducer {
  switch (reduce.kind) {
    case 'mean':
      return meanReducer(steps, metric)
    case 'max':
    case 'min':
      return extremeReducer(steps, reduce.kind)
    case 'rate':
      return rateReducer(steps, stepSeconds)
    case 'percentile':
      return percentileReducer(steps, reduce.percent)
  }
}

/** Of a counter it is the last value. */
function meanReducer(steps: number, { isCounter }: Metric): Reducer {
  const sums = new Float64Array(steps)
  const counts = new Uint32Array(steps)
  return {
    add(step, value) {
      sums[step] = isCounter ? value : sums[step]! + value
      counts[step] = isCounter ? 1 : counts[step]! + 1
    },
    result: (step) => (counts[step] === 0 ? null : sums[step]! / counts[step]!),
  }
}

function extremeReducer(steps: number, kind: 'max' | 'min'): Reducer {
  const values = new Float64Array(steps).fill(Number.NaN)
  return {
    add(step, value, peak) {
      const before = values[step]!
      const now = kind === 'max' ? peak : value
      if (Number.isNaN(before) || (kind === 'max' ? now > before : now < before)) values[step] = now
    },
    result: (step) => (Number.isNaN(values[step]) ? null : values[step]!),
  }
}

/** By how much it grew in a second; a counter that is less than before has begun anew at 0. */
function rateReducer(steps: number, stepSeconds: number): Reducer {
  const grown = new Float64Array(steps).fill(Number.NaN)
  let before: number | null = null
  return {
    add(step, value) {
      const increase = before === null ? 0 : value >= before ? value - before : value
      before = value
      grown[step] = (Number.isNaN(grown[step]) ? 0 : grown[step]!) + increase
    },
    result: (step) => (Number.isNaN(grown[step]) ? null : grown[step]! / stepSeconds),
  }
}

/** The smallest value that so many percent of the points do not exceed. */
function percentileReducer(steps: number, percent: number): Reducer {
  const values: number[][] = Array.from({ length: steps }, () => [])
  return {
    add: (step, value) => values[step]!.push(value),
    result(step) {
      const sorted = values[step]!.sort((a, b) => a - b)
      if (sorted.length === 0) return null
      return sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)]!
    },
  }
}

// ---------------------------------------------------------------- several series in one line

type Across = 'sum' | 'mean' | 'max' | 'min'

/** What tasks use together is the sum; shares and pressures have none. */
function acrossOf({ unit, name }: Metric, { kind }: Reduce): Across {
  if (kind === 'percentile') return 'max'
  const hasSum = unit !== 'share' && unit !== 'percent' && unit !== 'seconds' && name !== 'load'
  if (hasSum) return 'sum'
  return kind === 'max' || kind === 'min' ? kind : 'mean'
}

function combine(reducers: Reducer[], steps: number, across: Across, { step: unit }: Metric): (number | null)[] {
  return Array.from({ length: steps }, (_, step) => {
    let count = 0
    let total = 0
    for (const reducer of reducers) {
      const value = reducer.result(step)
      if (value === null) continue
      if (count === 0) total = value
      else if (across === 'max') total = Math.max(total, value)
      else if (across === 'min') total = Math.min(total, value)
      else total += value
      count++
    }
    if (count === 0) return null
    return rounded((across === 'mean' ? total / count : total) * unit)
  })
}

/** Seven digits are more than was measured. */
function rounded(value: number): number {
  return Number.isSafeInteger(value) ? value : Number(value.toPrecision(7))
}

// ---------------------------------------------------------------- what is refused

/** One line that is more than a whole answer may read. */
function tooMuch(query: MetricsQuery, metric: Metric, { name, members }: Group, points: number): BerthError {
  const line = query.by === 'all' ? 'one line' : `the line of ${query.by} ${name}`
  return new BerthError(
    'invalid-request',
    `${metric.name} of ${inWords(query)} is ${points} points of ${members.length} series in ${line}; one answer reads at most ` +
      `${POINTS_READ_MAX} points of ${SERIES_READ_MAX} series. Narrow it: a shorter time, a line for each service or task (by), or name a service, a node or a task`,
    { details: { points, pointsMax: POINTS_READ_MAX, series: members.length, seriesMax: SERIES_READ_MAX } },
  )
}

function inWords({ stack, service, task, node }: MetricsQuery): string {
  const named = [
    task === undefined ? null : `task ${task}`,
    service === undefined ? null : `service ${service}`,
    stack === undefined ? null : `stack ${stack}`,
    node === undefined ? null : `node ${node}`,
  ].filter((words) => words !== null)
  return named.length > 0 ? named.join(', ') : 'everything'
}

function unknownMetric(name: string): BerthError {
  const names = METRICS.map((metric) => metric.name)
  return new BerthError(
    'invalid-request',
    `there is no metric ${JSON.stringify(name)}; there are: ${names.join(', ')}`,
    {
      details: { metric: name },
    },
  )
}

function notOf(metric: Metric, of: 'node' | 'task'): BerthError {
  return new BerthError('invalid-request', `${metric.name} is measured of ${metric.of.join(' and ')}s, not of ${of}s`, {
    details: { metric: metric.name, of },
  })
}

function wrongTime({ from, to, stepSeconds }: MetricsQuery, steps: number): BerthError {
  if (to <= from)
    return new BerthError('invalid-request', 'the time ends before it begins: until must be later than since')
  return new BerthError(
    'invalid-request',
    `${to - from} s in steps of ${stepSeconds} s are ${steps} steps; at most ${STEPS_MAX} are told. Ask for a longer step or a shorter time`,
    { details: { steps, stepsMax: STEPS_MAX } },
  )
}
