import { join } from 'node:path'
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { topLines } from '../../cli/commands/top.ts'
import { type MetricsStore, openMetricsStore } from '../../coordinator/metrics-store/metrics-store.ts'
import type { MetricsDocument, TopDocument, TopRow } from '../../shared/api.ts'
import { type ApiServer, anApiServer } from '../build/api-server.ts'
import { temporaryFolder } from '../build/temporary-folder.ts'
import { run } from '../engines/processes.ts'

const BERTH = join(import.meta.dirname, '../../bin/berth')
const log = { debug() {}, info() {}, warn() {}, error() {} }
const NOW = Math.floor(Date.now() / 1000)
const TASKS = [1, 2].map((slot) => ({
  kind: 'task' as const,
  id: `t${slot}`,
  name: `shop_web.${slot}`,
  service: 'shop_web',
  stack: 'shop',
  node: 'n1',
}))

let server: ApiServer
let store: MetricsStore
beforeEach(async () => {
  store = await openMetricsStore({ dir: await temporaryFolder(), bytesMax: 1e9, seriesMax: 100, log })
  onTestFinished(() => store.close())
  for (let second = NOW - 600; second <= NOW; second++) {
    store.append({ kind: 'node', node: 'n1' }, second, [['cpu', 3]])
    for (const task of TASKS)
      store.append(task, second, [
        ['cpu', Number(task.id.slice(1)) / 2],
        ['memory', 64 * 2 ** 20],
      ])
  }
  server = await anApiServer(['n1'], { history: { store, why: '' } })
})

async function berth(...args: string[]) {
  return run(BERTH, args, { env: await server.env(), limitMs: 30_000 })
}

describe('berth stats', () => {
  test('draws cpu and memory of a service, and tells of each task', async () => {
    const { exit, stdout } = await berth('stats', 'shop_web', '--since', '10m')
    expect(exit).toBe(0)
    const lines = stdout.split('\n')
    expect(lines[0]).toMatch(/^shop_web {2}cpu {2}cores, mean of \d+ s each$/)
    expect(stdout).toMatch(/^1\.50 ┤.*[⠀-⣿]{20}/m)
    expect(stdout).toMatch(/^shop_web\.1 +0\.50 +0\.50 +0\.50 +0\.50$/m)
    expect(stdout).toMatch(/^shop_web\.2 +1\.00 +1\.00 +1\.00 +1\.00$/m)
    expect(stdout).toMatch(/^shop_web {2}memory {2}bytes/m)
    expect(stdout).toMatch(/^shop_web\.2 +64 MiB/m)
    expect(Math.max(...lines.map(({ length }) => length))).toBeLessThanOrEqual(100)
  })

  test('with --json the same as data, one document a metric', async () => {
    const { stdout } = await berth(
      'stats',
      'shop_web',
      '--metric',
      'cpu',
      '--by',
      'service',
      '--reduce',
      'p95',
      '--json',
    )
    const [answer] = JSON.parse(stdout) as [MetricsDocument]
    expect(answer).toMatchObject({ metric: 'cpu', unit: 'cores', of: 'task', by: 'service', reduce: 'p95' })
    expect(answer.lines).toMatchObject([{ name: 'shop_web', series: 2 }])
    expect(answer.lines[0]!.points.at(-2)).toBe(1)
  })

  test('a name without an underscore is a node when there is one, else a stack', async () => {
    expect((await berth('stats', 'n1', '--metric', 'cpu')).stdout).toMatch(/^n1 +3\.00/m)
    expect((await berth('stats', 'shop', '--metric', 'cpu')).stdout).toMatch(/^shop_web +1\.50/m)
  })

  test.each([
    [['shop_nothing'], 'there is no service shop_nothing'],
    [['shop_web', '--metric', 'cpuu'], 'there is no metric "cpuu"; there are: cpu, memory,'],
    [['shop_web', '--metric', 'load'], 'load is measured of nodes, not of tasks'],
    [['shop_web', '--since', '10m', '--until', '20m'], 'the time ends before it begins'],
  ])('%j is refused in words, with exit code 2', async (args, words) => {
    const { exit, stderr } = await berth('stats', ...args)
    expect([exit, stderr]).toEqual([2, expect.stringContaining(words)])
  })
})

test('without a store it says why there are no metrics', async () => {
  const why = 'no metrics are kept: the coordinator was started with --metrics-size 0'
  server = await anApiServer(['n1'], { history: { store: null, why } })
  const { exit, stderr } = await berth('stats', 'n1')
  expect([exit, stderr]).toEqual([1, expect.stringContaining(why)])
})

test('berth top, where its output is no terminal, is a table of what uses most, and with --json a document', async () => {
  const text = await berth('top', '--nodes')
  expect(text.exit).toBe(0)
  expect(text.stdout).toMatch(/^1 node: \d/)
  expect(text.stdout).toMatch(/^NODE +CPU +OF +MEMORY/m)
  expect(text.stdout).toMatch(/^n1 /m)
  const { stdout } = await berth('top', '--sort', 'memory', '--json')
  expect(JSON.parse(stdout) as TopDocument).toMatchObject({ count: 0, rows: [] })
})

describe('the table of berth top', () => {
  const row: TopRow = {
    name: 'a-stack-with-a-name_a-service-with-one.12',
    node: 'a-node-with-a-long-name.example.com',
    cpuCoresUsed: 1.5,
    cpuCoresMax: 2,
    memoryBytesUsed: 300 * 2 ** 20,
    memoryBytesMax: 512 * 2 ** 20,
    networkReceiveBytesPerSecond: 1024,
    networkSendBytesPerSecond: 2048,
    diskReadBytesPerSecond: 3 * 2 ** 20,
    diskWriteBytesPerSecond: 0,
    throttledShare: 0.25,
    processes: 12,
    restarts: 3,
  }
  const answer: TopDocument = { at: '', count: 2, cpuCoresUsed: 1.5, memoryBytesUsed: 300 * 2 ** 20, rows: [row] }

  test('fits 100 columns, and says what it is sorted by and how many it leaves out', () => {
    const lines = topLines(answer, { sort: 'memory', reverse: true }, 100)
    expect(lines[0]).toBe('2 tasks, 1 shown: 1.50 cores, 300 MiB; by memory, smallest first')
    expect(Math.max(...lines.map(({ length }) => length))).toBeLessThanOrEqual(100)
  })

  test('shows the network, and disks in its place when they are what it is sorted by', () => {
    expect(topLines(answer, { sort: 'cpu' }, 140)[2]).toMatch(/1 KiB\/s +2 KiB\/s/)
    const ofDisks = topLines(answer, { sort: 'disk' }, 140)
    expect(ofDisks[1]).toMatch(/READ +WRITTEN/)
    expect(ofDisks[2]).toMatch(/3 MiB\/s +0 B\/s/)
  })
})
