import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Check } from 'typebox/value'
import { describe, expect, test } from 'vitest'
import { lastLines, planLines } from '../../cli/commands/rebalance.ts'
import { type PlannedMove, RebalanceAnswer, type RebalanceDocument } from '../../shared/api.ts'
import { type ApiServer, anApiServer } from '../build/api-server.ts'
import { change } from '../build/cluster.ts'
import { call } from '../build/https-call.ts'
import { temporaryFolder } from '../build/temporary-folder.ts'
import { until } from '../build/until.ts'
import { run } from '../engines/processes.ts'

const BERTH = join(import.meta.dirname, '../../bin/berth')

async function berth(server: ApiServer, ...args: string[]) {
  return run(BERTH, args, { env: await server.env(), limitMs: 60_000 })
}

/** Six tasks on n1 and n2, and n3, which takes tasks only since they are there. */
async function aServerWithAnEmptyNode(): Promise<ApiServer> {
  const server = await anApiServer(['n1', 'n2', 'n3'])
  const file = join(await temporaryFolder(), 'compose.yaml')
  await writeFile(file, 'services:\n  web:\n    image: example/web:1\n    deploy: { replicas: 6 }\n')
  change(server.cluster, { kind: 'set-availability', node: 'n3', availability: 'drain' })
  const { exit, stderr } = await berth(server, 'deploy', '-f', file, '--stack', 'shop')
  expect({ exit, stderr }).toMatchObject({ exit: 0 })
  change(server.cluster, { kind: 'set-availability', node: 'n3', availability: 'active' })
  return server
}

function perNode({ cluster }: ApiServer): number[] {
  const tasks = [...cluster.world.tasks.values()].filter(({ desired }) => desired === 'running')
  return ['n1', 'n2', 'n3'].map((name) => tasks.filter(({ node }) => node === name).length)
}

describe('berth rebalance', () => {
  test('shows the moves with their reasons, and changes nothing', async () => {
    const server = await aServerWithAnEmptyNode()
    const { exit, stdout, stderr } = await berth(server, 'rebalance')
    expect(exit).toBe(0)
    expect(stdout).toMatch(/^2 moves, in this order, start-first\ntask +from +to +why +ends a run of\n/)
    expect(stdout).toMatch(/shop_web\.\d +n1 +n3 +3 and 0 tasks of shop_web there/)
    expect(stdout).toMatch(/shop_web\.\d +n2 +n3 +3 and 1 tasks of shop_web there/)
    expect(stderr).toContain('nothing was changed; berth rebalance --apply moves them')
    expect(perNode(server)).toEqual([3, 3, 0])
    const json = JSON.parse((await berth(server, 'rebalance', '--json')).stdout)
    expect(Check(RebalanceAnswer, json)).toBe(true)
    const one = await berth(server, 'rebalance', '--moves', '1')
    expect(one.stdout).toMatch(/^1 move, /)
  })

  test('makes them, and takes them back', async () => {
    const server = await aServerWithAnEmptyNode()
    const applied = await berth(server, 'rebalance', '--apply')
    expect([applied.exit, applied.stdout]).toEqual([0, expect.stringMatching(/rebalance 1 {2}2 of 2 tasks moved\n/)])
    expect(perNode(server)).toEqual([2, 2, 2])
    expect((await berth(server, 'rebalance')).stdout).toBe('every task is where its policy would put it now\n')
    const undone = await berth(server, 'rebalance', '--undo')
    expect([undone.exit, undone.stdout]).toEqual([0, expect.stringMatching(/rebalance 2 {2}2 of 2 tasks moved\n/)])
    expect(perNode(server)).toEqual([3, 3, 0])
  })

  test('an undo whose world has moved on says what is different, and changes nothing', async () => {
    const server = await aServerWithAnEmptyNode()
    await berth(server, 'rebalance', '--apply')
    await berth(server, 'scale', 'shop_web=1')
    await until(() => perNode(server).reduce((sum, count) => sum + count) === 1)
    const before = perNode(server)
    const { exit, stderr } = await berth(server, 'rebalance', '--undo')
    expect(exit).not.toBe(0)
    expect(stderr).toMatch(/rebalance 1 cannot be taken back, the world has moved on: shop_web\.\S+ is no longer on n3/)
    expect(stderr).toContain('Nothing was changed')
    expect(perNode(server)).toEqual(before)
  })

  test('an undo to a node that is drained since moves none of its tasks, and says so', async () => {
    const server = await aServerWithAnEmptyNode()
    await berth(server, 'rebalance', '--apply')
    change(server.cluster, { kind: 'set-availability', node: 'n1', availability: 'drain' })
    await until(() => perNode(server)[0] === 0)
    const before = perNode(server)
    const { exit, stderr } = await berth(server, 'rebalance', '--undo')
    expect([exit, stderr]).toEqual([
      1,
      expect.stringMatching(/n1 cannot take shop_web\.\S+ back: availability\. Nothing/),
    ])
    expect(perNode(server)).toEqual(before)
    expect((await berth(server, 'rebalance', '--json')).stdout).toContain('"number": 1')
  })

  test.each([
    [['--undo'], 'there is no rebalance to take back: none has moved a task'],
    [['--apply', '--undo'], '--apply and --undo exclude each other'],
    [['--apply', '--auto', '5'], '--apply and --auto exclude each other'],
    [['--auto', 'much'], 'rebalance cannot be "much"'],
    [['--moves', 'many'], 'many'],
    [['--moves', '0'], 'It must be at least 1.'],
    [['--moves', '1001'], '1000'],
    [['--apply', '--at-once', '0'], 'It must be at least 1.'],
  ])('refuses %j', async (args, words) => {
    const server = await aServerWithAnEmptyNode()
    const { exit, stderr } = await berth(server, 'rebalance', ...args)
    expect([exit === 0, stderr]).toEqual([false, expect.stringContaining(words)])
    expect(perNode(server)).toEqual([3, 3, 0])
  })

  test('a second one is refused while the first is under way', async () => {
    const server = await aServerWithAnEmptyNode()
    const { plan } = JSON.parse((await berth(server, 'rebalance', '--json')).stdout) as RebalanceAnswer
    server.pause()
    const { exit, stdout } = await berth(server, 'rebalance', '--apply', '--detach')
    expect([exit, stdout]).toEqual([0, expect.stringContaining('on its way')])
    expect((await berth(server, 'rebalance')).stdout).toMatch(/^rebalance 1 {2}0 of 2 tasks moved, moving\n/)
    const again = await berth(server, 'rebalance', '--apply')
    expect([again.exit === 0, again.stderr]).toEqual([
      false,
      expect.stringContaining('rebalance 1 is under way, 2 moves left'),
    ])
    const moves = plan.moves.map(({ task, to }) => ({ task, to }))
    const { status, text } = await call(server, { method: 'POST', path: '/v1/rebalance', body: { moves } })
    expect([status, text]).toEqual([409, expect.stringContaining('rebalance 1 is under way, 2 moves left')])
    server.resume()
    await until(() => server.cluster.world.rebalances.at(-1)?.state === 'done')
  })
})

test('figures stand in words that people know', () => {
  const move: PlannedMove = {
    task: 'shop_api.1.a',
    service: 'shop_api',
    slot: 1,
    from: 'n1',
    to: 'n2',
    policy: 'least-loaded',
    gain: 0.4,
    figures: {
      from: { cpuLoadAfter: 0.92, memoryLoadAfter: 0.3, pressure: 0.1 },
      to: { cpuLoadAfter: 0.41, memoryLoadAfter: 0.35, pressure: 0 },
    },
    cost: { upMs: 3_600_000 },
  }
  const share = { node: 'n1', share: 0.5 }
  const extremes = { fullest: share, emptiest: share, busiest: share }
  const lines = planLines({ moves: [move], before: extremes, after: extremes, isCut: false }, 100)
  expect(lines.join('\n')).toMatch(/measured CPU 92(\.0)? % → 41(\.0)? % \(least-loaded\)/)
})

test('taking back is offered only where something was moved', () => {
  const ends = { undoes: null, startedAt: '2026-01-01T00:00:00.000Z', endedAt: '2026-01-01T00:00:05.000Z', atOnce: 2 }
  const move = { task: 't', service: 'web', slot: 1, from: 'n1', to: 'n2', replacement: null, why: 'n2 is lost' }
  const stopped: RebalanceDocument = {
    ...{ ...ends, number: 3, by: 'operator', state: 'stopped', why: 'n2 is lost' },
    moves: [{ ...move, state: 'failed' }],
  }
  expect(lastLines(stopped)).toEqual(['rebalance 3  0 of 1 task moved, stopped', '  web.1 to n2: failed, n2 is lost'])
  const done: RebalanceDocument = {
    ...stopped,
    state: 'done',
    why: null,
    moves: [{ ...move, state: 'done', why: null }],
  }
  expect(lastLines(done)).toEqual(['rebalance 3  1 of 1 task moved', 'berth rebalance --undo takes it back'])
})
