import { expect, test } from 'vitest'
import type { MetricsStore } from '../../../coordinator/metrics-store/metrics-store.ts'
import { askMetrics, LINES_MAX, type MetricsQuery, SERIES_READ_MAX } from '../../../coordinator/metrics-store/query.ts'
import { type Subject, seriesOfSubject } from '../../../coordinator/metrics-store/subjects.ts'
import { tierFor } from '../../../coordinator/metrics-store/tiers.ts'
import { metricNamed } from '../../../shared/metric-names.ts'

const START = 1_790_000_000
const NOW = (START + 60) * 1000

const WEB1 = {
  number: 1,
  kind: 'task',
  id: 't1',
  name: 'shop_web.1',
  service: 'shop_web',
  stack: 'shop',
  node: 'a',
} as const
const WEB2: Subject = { ...WEB1, number: 2, id: 't2', name: 'shop_web.2', node: 'b' }
const DB: Subject = { ...WEB1, number: 3, id: 't3', name: 'shop_db.1', service: 'shop_db' }
const NODE_A: Subject = { number: 4, kind: 'node', node: 'a' }

/** Values by subject, in units of the metric; one each second from START. */
function aStore(metric: string, values: Map<Subject, number[]>): MetricsStore {
  const { number, step } = metricNamed(metric)!
  return {
    subjects: () => values.keys(),
    async read({ series, from, to, visit }) {
      for (const [subject, points] of values) {
        const id = seriesOfSubject(subject, number)
        if (!series.includes(id)) continue
        for (const [i, value] of points.entries()) {
          const second = START + i
          if (second >= from && second < to) visit(id, second, Math.round(value / step), Math.round(value / step))
        }
      }
    },
  } as Partial<MetricsStore> as MetricsStore
}

function query(given: Partial<MetricsQuery>): MetricsQuery {
  return { metric: 'cpu', from: START, to: START + 4, stepSeconds: 2, reduce: { kind: 'mean' }, by: 'task', ...given }
}

const lines = async (store: MetricsStore, given: Partial<MetricsQuery>) =>
  (await askMetrics(store, query(given), NOW)).lines.map(({ name, points }) => [name, ...points])

const CPU = () =>
  aStore(
    'cpu',
    new Map<Subject, number[]>([
      [WEB1, [1, 2, 3, 4]],
      [WEB2, [0.5, 0.5]],
      [DB, [9, 9, 9, 9]],
      [NODE_A, [10, 10, 10, 10]],
    ]),
  )

test('each task of a service has its line, with the mean of each step, and null where nothing was measured', async () => {
  expect(await lines(CPU(), { service: 'shop_web' })).toEqual([
    ['shop_web.1', 1.5, 3.5],
    ['shop_web.2', 0.5, null],
  ])
})

test('what the tasks of a service use together is their sum', async () => {
  expect(await lines(CPU(), { stack: 'shop', by: 'service' })).toEqual([
    ['shop_db', 9, 9],
    ['shop_web', 2, 3.5],
  ])
})

test('of shares there is no sum, so the line of a service is the mean of its tasks', async () => {
  const store = aStore(
    'throttled',
    new Map([
      [WEB1, [0.2, 0.2]],
      [WEB2, [0.4, 0.4]],
    ]),
  )
  expect(await lines(store, { metric: 'throttled', by: 'service' })).toEqual([['shop_web', 0.3, null]])
})

test('with no service or task named, cpu is that of nodes', async () => {
  expect(await lines(CPU(), {})).toEqual([['a', 10, 10]])
  expect(await lines(CPU(), { of: 'task', node: 'a', by: 'all' })).toEqual([['all', 10.5, 12.5]])
})

test('largest and smallest of a step', async () => {
  expect(await lines(CPU(), { task: 'shop_web.1', reduce: { kind: 'max' } })).toEqual([['shop_web.1', 2, 4]])
  expect(await lines(CPU(), { task: 't1', reduce: { kind: 'min' } })).toEqual([['shop_web.1', 1, 3]])
})

test('a percentile is over all points of all tasks of the line', async () => {
  const p50 = { reduce: { kind: 'percentile', percent: 50 } as const, service: 'shop_web', by: 'all' as const }
  expect(await lines(CPU(), p50)).toEqual([['all', 0.5, 3]])
  expect(await lines(CPU(), { ...p50, reduce: { kind: 'percentile', percent: 100 } })).toEqual([['all', 2, 4]])
})

test('the rate of a counter counts what was added, also after it began anew', async () => {
  const store = aStore('restarts', new Map([[WEB1, [0, 2, 2, 1]]]))
  expect(await lines(store, { metric: 'restarts', reduce: { kind: 'rate' } })).toEqual([['shop_web.1', 1, 0.5]])
})

/** So many tasks, of which no point may be read. */
const manyTasks = (count: number) =>
  ({
    *subjects(): Iterable<Subject> {
      for (let number = 1; number <= count; number++)
        yield { ...WEB1, number, id: `t${number}`, name: `shop_web.${number}` }
    },
    read: () => Promise.reject(new Error('it was read')),
  }) as Partial<MetricsStore> as MetricsStore

test('one line of more series than an answer may read is refused with figures and how to narrow it, before any is read', async () => {
  await expect(askMetrics(manyTasks(SERIES_READ_MAX + 1), query({ of: 'task', by: 'all' }), NOW)).rejects.toMatchObject(
    {
      code: 'invalid-request',
      message: expect.stringMatching(
        /cpu of everything is 20004 points of 5001 series in one line; .* 5000 series\. Narrow it: /,
      ),
      details: { series: SERIES_READ_MAX + 1, seriesMax: SERIES_READ_MAX },
    },
  )
})

test('more lines than one answer may have come in pages, in the order of their names, none twice and none left out', async () => {
  const count = 2 * LINES_MAX + 1
  const store = manyTasks(count)
  const sizes: number[] = []
  const asked: string[] = []
  let after: string | undefined
  do {
    const seen: number[] = []
    const paged = { ...store, read: async ({ series }: { series: readonly number[] }) => void seen.push(...series) }
    const answer = await askMetrics(paged, query({ of: 'task', by: 'task', ...(after && { after }) }), NOW)
    sizes.push(seen.length)
    asked.push(...seen.map(String))
    after = answer.next ?? undefined
  } while (after !== undefined)
  expect(sizes).toEqual([LINES_MAX, LINES_MAX, 1])
  expect(new Set(asked).size).toBe(count)
})

test.each([
  [{ metric: 'cpus' }, /there is no metric "cpus"; there are: cpu, memory/],
  [{ metric: 'throttled', of: 'node' as const }, /throttled is measured of tasks, not of nodes/],
  [{ from: START + 4 }, /ends before it begins/],
  [{ to: START + 1_000_000 }, /500000 steps; at most 2000/],
])('%j is refused in words', async (given, words) => {
  await expect(askMetrics(CPU(), query(given), NOW)).rejects.toMatchObject({
    code: 'invalid-request',
    message: expect.stringMatching(words),
  })
})

test('the coarsest tier that is fine enough answers, and a coarser one where that does not reach back', () => {
  const now = START
  const [hour, day] = [3600, 86_400]
  expect(tierFor(now - hour, 1, now, false)).toBe(0)
  expect(tierFor(now - hour, 30, now, false)).toBe(1)
  expect(tierFor(now - hour, 30, now, true)).toBe(0)
  expect(tierFor(now - 2 * hour, 1, now, false)).toBe(1)
  expect(tierFor(now - day, 600, now, false)).toBe(2)
  expect(tierFor(now - 7 * day, 1, now, true)).toBe(2)
  expect(tierFor(now - 90 * day, 1, now, false)).toBe(2)
})
