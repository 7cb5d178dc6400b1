import { describe, expect, test } from 'vitest'
import { parseLabels, parseScale } from '../../cli/commands/changes.ts'
import { NODE_COLUMNS, nodeLines, nodeRow } from '../../cli/commands/lists.ts'
import { statusLines } from '../../cli/commands/status.ts'
import { parseListen } from '../../cli/daemon-flags.ts'
import { bytes, cores, duration, parseDuration, percent } from '../../cli/figures.ts'
import { cut } from '../../cli/live.ts'
import { lineMerger } from '../../cli/merge-lines.ts'
import { metricFigure } from '../../cli/metric-figures.ts'
import { fittingLines, headLine, plainLine, progressLines } from '../../cli/progress-view.ts'
import { tableLines } from '../../cli/table.ts'
import { parseTarget } from '../../cli/target.ts'
import { stackProgress } from '../../coordinator/api/progress.ts'
import { viewNode } from '../../coordinator/api/view-node.ts'
import { viewStatus } from '../../coordinator/api/view-status.ts'
import type { ServiceProgress } from '../../shared/api.ts'
import { GiB } from '../build/spec.ts'
import { aNode, aService, aTask, aVersion, aWorld, NOW, versionMap } from '../build/world.ts'

const plain = (_style: string, text: string) => text

test('figures have units and no more digits than they tell', () => {
  expect([0, 512, 18 * 2 ** 20, 23.5 * 2 ** 30, 94 * 2 ** 30].map(bytes)).toEqual([
    '0 B',
    '512 B',
    '18 MiB',
    '23.5 GiB',
    '94 GiB',
  ])
  expect([600, 1400, 35_000, 240_000, 367_200_000].map(duration)).toEqual([
    '0.6 s',
    '1.4 s',
    '35 s',
    '4 min',
    '4 d 6 h',
  ])
  expect([0, 0.00001, 0.00134, 0.05, 0.75, 1.234, 12.34].map(cores)).toEqual([
    '0.00',
    '0.00',
    '0.0013',
    '0.05',
    '0.75',
    '1.23',
    '12.3',
  ])
  expect([0.0124, 0.3, 1.5].map((seconds) => metricFigure(seconds, 'seconds'))).toEqual(['12.4 ms', '300 ms', '1.5 s'])
  expect([percent(5.1, 24), percent(1, 0)]).toEqual(['21 %', '0 %'])
  expect(['10m', '90', '250ms', '1d', 'soon', '-1s'].map(parseDuration)).toEqual([
    600_000,
    90_000,
    250,
    86_400_000,
    null,
    null,
  ])
})

test('a table that nobody sees on a screen is not cut, and each row is one line', () => {
  const reason = `unhealthy:\n  ${'x'.repeat(300)}`
  expect(tableLines([{ title: 'STATE', shrinkTo: 6 }], [[reason]], Number.POSITIVE_INFINITY)[1]).toBe(
    `unhealthy: ${'x'.repeat(300)}`,
  )
})

test('a table that is too wide is cut where it may be, and never wraps', () => {
  const columns = [
    { title: 'NAME', shrinkTo: 6 },
    { title: 'N', align: 'right' as const },
  ]
  expect(
    tableLines(
      columns,
      [
        ['short', '1'],
        ['a-long-name', '22'],
      ],
      12,
    ),
  ).toEqual(['NAME       N', 'short      1', 'a-long-…  22'])
  const label = { verylonglabel: 'x'.repeat(200) }
  const node = viewNode(aWorld(), aNode({ name: 'n'.repeat(63), operatorLabels: label }))
  for (const line of tableLines(NODE_COLUMNS, [nodeRow(node)], 100)) expect(line.length).toBeLessThanOrEqual(100)
})

test('a line is cut by what is seen; colour codes take no room', () => {
  expect(cut('\x1b[32mhello\x1b[39m', 3)).toBe('\x1b[32mhel\x1b[39m')
})

test('a name on the command line is a stack, a service or a task by its shape', () => {
  expect(
    ['shop', 'shop_api', 'shop_api.7', 'shop_api.7.142', 'shop_agent@web-1', 'shop_api.v2'].map(parseTarget),
  ).toEqual([
    { stack: 'shop' },
    { service: 'shop_api' },
    { task: 'shop_api.7' },
    { task: 'shop_api.7.142' },
    { task: 'shop_agent@web-1' },
    { service: 'shop_api.v2' },
  ])
})

test('one node is told with what is promised of it, what may be, and what keeps tasks away', () => {
  const node = aNode({
    cpuCores: 4,
    memoryBytes: 8 * GiB,
    diskBytes: 100 * GiB,
    generic: { gpu: 2 },
    overcommit: { cpu: 1.5 },
    reserve: { memoryBytes: GiB },
    taints: ['gpu=yes:no-schedule'],
  })
  const spec = { cpuCores: 2, memoryBytes: GiB, diskBytes: 5 * GiB, generic: { gpu: 1 } }
  const world = aWorld({ nodes: [node], services: [aService({ spec })], tasks: [aTask()] })
  expect(nodeLines(viewNode(world, node))).toEqual([
    'cpu      2 of 6 promised  (has 4, times 1.5)',
    'memory   1 GiB of 7 GiB promised  (has 8 GiB, 1 GiB kept back)',
    'disk     5 GiB of 100 GiB promised  (has 100 GiB)',
    'gpu      1 of 2 promised',
    'taint    gpu=yes:no-schedule',
  ])
})

test('arguments are read strictly', () => {
  expect(parseScale('shop_api=5')).toEqual({ service: 'shop_api', replicas: 5 })
  expect(() => parseScale('shop_api=-1')).toThrow('write it like shop_api=5')
  expect(parseLabels(['disk=ssd', 'old-', 'empty='])).toEqual({ set: { disk: 'ssd', empty: '' }, remove: ['old'] })
  expect(() => parseLabels(['disk'])).toThrow('KEY=VALUE')
  expect(() => parseLabels(['__proto__=x'])).toThrow('__proto__ cannot be the name of a label')
  expect(['10.0.0.5:1', '[::1]:2', ':3', '4'].map(parseListen)).toEqual([
    { host: '10.0.0.5', port: 1 },
    { host: '::1', port: 2 },
    { host: '0.0.0.0', port: 3 },
    { host: '0.0.0.0', port: 4 },
  ])
  expect(() => parseListen('host')).toThrow()
})

test('a node whose clock is off says so beside its status', () => {
  const statusOf = (given: Parameters<typeof aNode>[0]) => {
    const node = aNode(given)
    return nodeRow(viewNode(aWorld({ nodes: [node] }), node))[1]
  }
  expect(statusOf({ clockSkewMs: 20_000 })).toBe('ready')
  expect(statusOf({ clockSkewMs: 7_200_000 })).toBe('ready, clock 2 h ahead')
  expect(statusOf({ clockSkewMs: -7_200_000, availability: 'drain' })).toBe('ready, drained, clock 2 h behind')
})

describe('lines of several hosts', () => {
  const line = (at: number) => ({ task: 't', at, source: 'stdout' as const, text: String(at) })

  test('come out in order of time once they were held back long enough', () => {
    const out: number[] = []
    const merger = lineMerger(({ at }) => out.push(at))
    merger.add(line(5), 100)
    merger.add(line(3), 110)
    merger.add(line(9), 200)
    merger.release(150)
    expect(out).toEqual([3, 5])
    merger.end()
    expect(out).toEqual([3, 5, 9])
  })

  test('are never held in greater number than the bound, and none is lost', () => {
    const out: number[] = []
    const merger = lineMerger(({ at }) => out.push(at), 10)
    for (let at = 0; at < 100; at += 1) merger.add(line(at), 0)
    expect(out.length).toBeGreaterThanOrEqual(90)
    merger.end()
    expect(out).toEqual([...out].sort((a, b) => a - b))
    expect(out).toHaveLength(100)
  })
})

describe('the progress of a stack', () => {
  const rolling = { state: 'rolling' as const, version: 1, from: null, startedAt: NOW, failures: [] }
  const held = {
    version: 1,
    state: 'held' as const,
    waitsFor: [{ service: 'shop_api', condition: 'service_healthy', now: 'starting' }],
  }
  const tasks = Array.from({ length: 20 }, (_, index) =>
    aTask({ service: 'shop_api', version: 2, slot: index + 1, health: index < 12 ? 'healthy' : 'starting' }),
  )
  const world = aWorld({
    services: [
      aService({ shortName: 'db', spec: { volumes: ['data'] }, homes: new Map([[1, 'web-3']]) }),
      aService({ shortName: 'migrate', spec: { restart: { condition: 'none' } } }),
      aService({
        shortName: 'api',
        version: 2,
        versions: versionMap(aVersion(1), aVersion(2, { replicas: 20, update: { parallelism: 4 } })),
        rollout: { ...rolling, version: 2 },
      }),
      aService({ shortName: 'web', release: held, rollout: rolling }),
    ],
    tasks: [
      aTask({ service: 'shop_db', health: 'healthy', node: 'web-3' }),
      aTask({ service: 'shop_migrate', state: 'completed' }),
      ...tasks,
    ],
  })
  const progress = stackProgress(world, 'shop')!

  const noted = { took: new Map([['shop_migrate', 2100]]), waitedFor: new Map([['shop_migrate', 'db']]) }
  const hint = 'Ctrl-C leaves it going; berth deploy --attach shop comes back'

  test('looks as the tour has it', () => {
    expect([headLine(progress, hint), ...progressLines(progress, noted, plain)]).toMatchInlineSnapshot(`
      [
        "shop  4 services, 23 tasks   Ctrl-C leaves it going; berth deploy --attach shop comes back",
        "  db        1/1 healthy                            web-3 (its volume is there)",
        "  migrate   done, exit 0                           2.1 s, waited for db",
        "  api       ██████████░░░░░░░░  12/20 healthy      4 at a time",
        "  web       waiting for api (service_healthy)",
      ]
    `)
    expect(headLine(progress, hint).length).toBeLessThanOrEqual(100)
  })

  test('is one line a service where there is no terminal', () => {
    expect(plainLine(progress.services[2]!)).toBe('shop_api  12/20 healthy                          4 at a time')
  })

  test('says of a service that failed which task, where, why, and its last words with their times', () => {
    const why = 'unhealthy: GET /healthz\n→ 500'
    const [db, , api] = progress.services as [ServiceProgress, ServiceProgress, ServiceProgress]
    const failure = (slot: number) => ({ task: `t${slot}`, name: `shop_api.${slot}`, node: 'web-2', why })
    const failed: ServiceProgress = {
      ...api,
      stage: 'rolled-back',
      version: 6,
      why: '2 of 20 failed',
      failures: [1, 2, 3, 4].map(failure),
    }
    const at = ['2026-11-23T10:04:11.000Z', '2026-11-23T10:04:12.500Z']
    const lastLines = [{ task: 't1', lines: ['Error: relation "orders" does not exist', 'bye'], at }]
    expect(progressLines({ ...progress, services: [db, failed], lastLines }, noted, plain)).toMatchInlineSnapshot(`
      [
        "  db        1/1 healthy                            web-3 (its volume is there)",
        "  api       ✗ rolled back to version 6: 2 of 20 failed",
        "            shop_api.1 on web-2: unhealthy: GET /healthz → 500",
        "            last lines:  2026-11-23T10:04:11Z  Error: relation "orders" does not exist",
        "                         2026-11-23T10:04:12Z  bye",
        "            shop_api.2 on web-2: unhealthy: GET /healthz → 500",
        "            shop_api.3 on web-2: unhealthy: GET /healthz → 500",
        "            and 1 more",
      ]
    `)
    expect(plainLine({ ...failed, failures: [] })).toBe('shop_api  rolled back to version 6, 12/20 healthy')
  })

  test('is no longer than the terminal: what is through gives way to what is not', () => {
    const [db, , , web] = progress.services as ServiceProgress[]
    const many = [...Array(30).fill(db), web, ...Array(30).fill(db), ...Array(9).fill(web)] as ServiceProgress[]
    const short = fittingLines({ ...progress, services: many }, noted, plain, 6)
    expect(short).toEqual([
      ...Array(5).fill('  web       waiting for api (service_healthy)'),
      '  and 5 more on their way, 60 through',
    ])
    expect(fittingLines({ ...progress, services: many }, noted, plain, 100)).toHaveLength(70)
  })

  test('says where tasks could not go, and why', () => {
    const figures = { attribute: 'node.labels.disk', operator: '==', value: 'ssd', has: null }
    const waiting = aWorld({
      services: [aService()],
      tasks: [
        aTask({ node: null, waitsFor: ['a', 'b'].map((node) => ({ node, check: 'constraint' as const, figures })) }),
      ],
    })
    expect(plainLine(stackProgress(waiting, 'shop')!.services[0]!).split('\n')).toEqual([
      'shop_web  0/1 running                            1 waiting',
      '  a, b: constraint: node.labels.disk == ssd, it has none',
    ])
  })
})

test('the status of a cluster fits 100 columns', () => {
  const facts = { version: '1', url: 'https://10.0.0.5:23784', startedAt: NOW - 367_200_000, storeBytes: 18 * 2 ** 20 }
  const world = aWorld({ nodes: [aNode({ name: 'a' })], services: [aService()], tasks: [aTask({ node: 'a' })] })
  const lines = statusLines(viewStatus(world, facts, NOW), plain)
  for (const line of lines) expect(line.length).toBeLessThanOrEqual(100)
  expect(lines).toMatchInlineSnapshot(`
    [
      "cluster berth-test   1 node ready              coordinator 10.0.0.5, up 4 d 6 h, store 18 MiB",
      "CPU     0 of 4 cores used (0 %), 0 promised    memory  0 B of 8 GiB used (0 %), 0 B promised",
      "tasks   1 running, 0 waiting, 0 restarting",
    ]
  `)
})
