import { appendFileSync, cpSync, mkdtempSync, readdirSync, rmSync, statSync, truncateSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type MetricsStore, openMetricsStore } from '../../../coordinator/metrics-store/metrics-store.ts'
import { seriesOfSubject } from '../../../coordinator/metrics-store/subjects.ts'

const HOUR = 3600
const DAY = 24 * HOUR
/** On the border of every frame. */
const START = 1_790_000_000 - (1_790_000_000 % (6 * HOUR))
const NODE = { kind: 'node', node: 'a' } as const
const log = { debug() {}, info() {}, warn() {}, error() {} }

let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'berth-metrics-'))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

const open = (options: { bytesMax?: number; seriesMax?: number; from?: string } = {}) =>
  openMetricsStore({
    dir: options.from ?? dir,
    bytesMax: options.bytesMax ?? 1e9,
    seriesMax: options.seriesMax ?? 100,
    log,
  })

function feed(
  store: MetricsStore,
  from: number,
  to: number,
  every = 1,
  cores = (second: number) => (second % 10) / 10,
) {
  for (let second = from; second < to; second += every) store.append(NODE, second, [['cpu', cores(second)]])
}

type Point = { second: number; value: number; peak: number }

async function points(store: MetricsStore, tier: number, from = 0, to = 2 ** 32): Promise<Point[]> {
  const [subject] = [...store.subjects()].filter(({ node }) => node === 'a')
  if (subject === undefined) return []
  const found: Point[] = []
  const series = [seriesOfSubject(subject, 0)]
  await store.read({ series, from, to, tier, visit: (_, second, value, peak) => found.push({ second, value, peak }) })
  return found
}

/** What is on the disk at this moment: what a process that is killed leaves. */
async function killed(store: MetricsStore): Promise<string> {
  await store.written()
  const copy = `${dir}-killed`
  rmSync(copy, { recursive: true, force: true })
  cpSync(dir, copy, { recursive: true })
  rmSync(dir, { recursive: true })
  cpSync(copy, dir, { recursive: true })
  rmSync(copy, { recursive: true })
  return dir
}

test('what was just measured is read at once, each second of it', async () => {
  const store = await open()
  feed(store, START, START + 30)
  const read = await points(store, 0)
  expect(read).toHaveLength(30)
  expect(read[7]).toEqual({ second: START + 7, value: 700, peak: 700 })
  await store.close()
})

test('of ten seconds the thinned tier keeps the mean and the peak', async () => {
  const store = await open()
  feed(store, START, START + 25)
  expect(await points(store, 1)).toEqual([
    { second: START, value: 450, peak: 900 },
    { second: START + 10, value: 450, peak: 900 },
    { second: START + 20, value: 200, peak: 400 },
  ])
  await store.close()
})

test('of a counter the thinned tiers keep the last value, not a mean that it never had', async () => {
  const store = await open()
  for (let i = 0; i < 10; i++)
    store.append({ kind: 'task', id: 't1', name: 's_w.1', service: 's_w', stack: 's', node: 'a' }, START + i, [
      ['restarts', i < 5 ? 1 : 4],
    ])
  const [subject] = store.subjects()
  const read: number[] = []
  await store.read({
    series: [seriesOfSubject(subject!, 9)],
    from: START,
    to: START + 20,
    tier: 1,
    visit: (_s, _t, value) => read.push(value),
  })
  expect(read).toEqual([4])
  await store.close()
})

test('after a stop everything is there again, in every tier', async () => {
  const store = await open()
  feed(store, START, START + 2 * HOUR)
  const before = await Promise.all([0, 1, 2].map((tier) => points(store, tier, START + HOUR)))
  await store.close()
  const again = await open()
  expect(await Promise.all([0, 1, 2].map((tier) => points(again, tier, START + HOUR)))).toEqual(before)
  await again.close()
})

test('a kill loses at most the minute that was not written, and the thinned tiers nothing else', async () => {
  const store = await open()
  feed(store, START, START + 45 * 60 + 30)
  const again = await open({ from: await killed(store) })
  const seconds = await points(again, 0)
  expect(seconds.at(-1)?.second).toBe(START + 45 * 60 - 1)
  const tens = await points(again, 1)
  expect(tens.map(({ second }) => second)).toEqual(Array.from({ length: 270 }, (_, i) => START + i * 10))
  expect(new Set(tens.map(({ value, peak }) => `${value} ${peak}`))).toEqual(new Set(['450 900']))
  expect(await points(again, 2)).toHaveLength(9)
  await again.close()
  await store.close()
})

test('a frame that a crash cut off is cut away, and what comes after it is read', async () => {
  const store = await open()
  feed(store, START, START + 121)
  await store.close()
  const [name] = readdirSync(join(dir, 'full'))
  const path = join(dir, 'full', name!)
  truncateSync(path, statSync(path).size - 1)
  const again = await open()
  feed(again, START + 180, START + 200)
  await again.close()
  const third = await open()
  expect((await points(third, 0)).map(({ second }) => second - START)).toEqual([
    ...Array.from({ length: 120 }, (_, i) => i),
    ...Array.from({ length: 20 }, (_, i) => 180 + i),
  ])
  await third.close()
})

test('rubbish at the end of a file, or of the list of subjects, hides nothing that stood before it', async () => {
  const store = await open()
  feed(store, START, START + 60)
  await store.close()
  appendFileSync(join(dir, 'full', readdirSync(join(dir, 'full'))[0]!), 'BBM1 and something else entirely')
  appendFileSync(join(dir, 'subjects'), '{"kind":"no')
  const again = await open()
  expect(await points(again, 0)).toHaveLength(60)
  await again.close()
})

test('what is packed in steps can be read meanwhile, and is complete however it is interrupted', async () => {
  const store = await open()
  const names = ['a', 'b', 'c', 'd']
  const feedAll = (from: number, to: number) => {
    for (let second = from; second < to; second++)
      for (const node of names) store.append({ kind: 'node', node }, second, [['cpu', second % 7]])
  }
  feedAll(START, START + 60)
  const steps = store.advanceInSteps(START + 60)
  steps.next()
  steps.next()
  expect(await points(store, 0)).toHaveLength(60)
  // A point comes though it was asked for that none does.
  store.append({ kind: 'node', node: 'a' }, START + 60, [['cpu', 1]])
  expect(steps.next().done).toBe(true)
  feedAll(START + 61, START + 120)
  expect(await points(store, 0)).toHaveLength(120)
  store.advanceInSteps(START + 120).next()
  await store.close()
  const again = await open()
  expect(await points(again, 0)).toHaveLength(120)
  await again.close()
})

test('each tier keeps its time and little more', async () => {
  const store = await open()
  feed(store, START, START + 3 * DAY, 300)
  await store.close()
  const again = await open()
  const end = START + 3 * DAY
  const firsts = await Promise.all([0, 1, 2].map(async (tier) => (end - (await points(again, tier))[0]!.second) / HOUR))
  expect(firsts[0]).toBeGreaterThanOrEqual(1)
  expect(firsts[0]).toBeLessThan(1.2)
  expect(firsts[1]).toBeGreaterThanOrEqual(24)
  expect(firsts[1]).toBeLessThan(27)
  expect(firsts[2]).toBe(72)
  await again.close()
})

test('the files stay within their room, and the newest points are the ones that stay', async () => {
  const bytesMax = 40_000
  const store = await open({ bytesMax })
  feed(store, START, START + 2 * HOUR, 1, (second) => Math.abs(Math.sin(second)) * 4)
  await store.close()
  const again = await open({ bytesMax })
  // One part of twelve may be over before the next is begun.
  expect(again.stats.bytes).toBeLessThanOrEqual(bytesMax * 1.25)
  expect((await points(again, 0)).at(-1)?.second).toBe(START + 2 * HOUR - 1)
  await again.close()
})

test('series beyond the bound are left out and counted, and those that were there first go on', async () => {
  const store = await open({ seriesMax: 1 })
  feed(store, START, START + 5)
  store.append({ kind: 'node', node: 'b' }, START + 5, [['cpu', 1]])
  store.append({ kind: 'node', node: 'b' }, START + 6, [['cpu', 1]])
  feed(store, START + 6, START + 10)
  expect(store.stats).toMatchObject({ series: 1, seriesLeftOut: 1 })
  expect(await points(store, 0)).toHaveLength(9)
  await store.close()
})

test('of what is left out there are no more subjects than are counted', async () => {
  const store = await open({ seriesMax: 2 })
  for (let node = 0; node < 100; node++) store.append({ kind: 'node', node: `n${node}` }, START, [['cpu', 1]])
  expect(store.stats).toMatchObject({ series: 2, seriesLeftOut: 2, subjects: 4 })
  await store.close()
})

test('while there is room it takes points of any task, then of those that have some', async () => {
  const store = await open({ seriesMax: 2 })
  const add = (id: string, node: string) =>
    store.append({ kind: 'task', id, name: id, service: 'w', stack: 's', node }, START, [['cpu', 1]])
  for (const id of ['t1', 't2', 't3']) add(id, 'a')
  expect(store.tasksTaken('a')).toBeNull()
  for (const id of ['t4', 't5']) add(id, 'b')
  expect([...store.tasksTaken('a')!]).toEqual(['t1', 't2', 't3'])
  expect([...store.tasksTaken('b')!]).toEqual(['t4'])
  expect([...store.tasksTaken('c')!]).toEqual([])
  await store.close()
})

test('a subject is forgotten with its last point', async () => {
  const store = await open()
  store.append({ kind: 'node', node: 'b' }, START, [['cpu', 1]])
  feed(store, START, START + 40 * DAY, 6 * HOUR)
  await store.close()
  const again = await open()
  expect([...again.subjects()].map(({ node }) => node)).toEqual(['a'])
  await again.close()
})

test('a clock that is set back by a little is waited for, by much is followed', async () => {
  const store = await open()
  feed(store, START + 1000, START + 1010)
  feed(store, START + 1000, START + 1005)
  expect(await points(store, 0)).toHaveLength(10)
  feed(store, START, START + 5)
  expect((await points(store, 0)).map(({ second }) => second - START).sort((a, b) => a - b)).toEqual([
    0, 1, 2, 3, 4, 1000, 1001, 1002, 1003, 1004, 1005, 1006, 1007, 1008, 1009,
  ])
  await store.close()
})
