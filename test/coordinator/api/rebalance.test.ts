import { Check } from 'typebox/value'
import { describe, expect, test } from 'vitest'
import { RebalanceAnswer } from '../../../shared/api.ts'
import { type ApiServer, anApiServer } from '../../build/api-server.ts'
import { change } from '../../build/cluster.ts'
import { call } from '../../build/https-call.ts'
import { aStackSpec } from '../../build/spec.ts'
import { until } from '../../build/until.ts'

/** Six tasks on n1 and n2, and n3, which takes tasks only since they are there. */
async function aServerWithAnEmptyNode(): Promise<ApiServer> {
  const server = await anApiServer(['n1', 'n2', 'n3'])
  change(server.cluster, { kind: 'set-availability', node: 'n3', availability: 'drain' })
  await call(server, { method: 'PUT', path: '/v1/stacks/s', body: aStackSpec('s', { web: { replicas: 6 } }) })
  await until(() => String(perNode(server)) === '3,3,0')
  change(server.cluster, { kind: 'set-availability', node: 'n3', availability: 'active' })
  return server
}

/** Running ones that are to stay. */
function perNode({ cluster: { world } }: ApiServer): number[] {
  const tasks = [...world.tasks.values()].filter(
    ({ desired, observed }) => desired === 'running' && observed.state === 'running',
  )
  return ['n1', 'n2', 'n3'].map((name) => tasks.filter(({ node }) => node === name).length)
}

/** Once the deployment has settled. */
async function planned(server: ApiServer): Promise<{ task: string; to: string }[]> {
  await until(() => server.cluster.world.services.get('s_web')?.rollout.state === 'settled')
  return (await look(server)).plan.moves.map(({ task, to }) => ({ task, to }))
}

async function look(server: ApiServer): Promise<RebalanceAnswer> {
  return (await call(server, { path: '/v1/rebalance' })).json as RebalanceAnswer
}

function rebalance(server: ApiServer, body: unknown) {
  return call(server, { method: 'POST', path: '/v1/rebalance', body })
}

function undo(server: ApiServer, body: unknown = {}) {
  return call(server, { method: 'POST', path: '/v1/rebalance/undo', body })
}

async function isOver(server: ApiServer): Promise<void> {
  await until(() => server.cluster.world.rebalances.at(-1)?.state !== 'moving')
}

describe('/v1/rebalance', () => {
  test('shows a plan without changing anything, moves what it is told and tells of it', async () => {
    const server = await aServerWithAnEmptyNode()
    const moves = await planned(server)
    expect((await look(server)).last).toBeNull()
    expect(perNode(server)).toEqual([3, 3, 0])
    expect((await rebalance(server, { moves })).status).toBe(200)
    await isOver(server)
    const answer = await look(server)
    expect(Check(RebalanceAnswer, answer)).toBe(true)
    expect(answer.last).toMatchObject({ number: 1, by: 'operator', undoes: null, state: 'done', atOnce: 2 })
    expect(answer.plan.moves).toEqual([])
    await until(() => String(perNode(server)) === '2,2,2')
    expect((await undo(server)).status).toBe(200)
    await isOver(server)
    expect((await look(server)).last).toMatchObject({ number: 2, by: 'undo', undoes: 1, state: 'done' })
    await until(() => String(perNode(server)) === '3,3,0')
  })

  test.each([
    ['no move', { moves: [] }, 400, 'invalid-request'],
    ['no moves at all', {}, 400, 'invalid-request'],
    ['a field that there is not', { moves: [{ task: 't', to: 'n3' }], fast: true }, 400, 'invalid-request'],
    ['none at once', { moves: [{ task: 't', to: 'n3' }], atOnce: 0 }, 400, 'invalid-request'],
    ['half a one at once', { moves: [{ task: 't', to: 'n3' }], atOnce: 1.5 }, 400, 'invalid-request'],
    ['too many at once', { moves: [{ task: 't', to: 'n3' }], atOnce: 101 }, 400, 'invalid-request'],
    ['a task that there is not', { moves: [{ task: 'nobody', to: 'n3' }] }, 409, 'conflict'],
  ])('refuses %s, and changes nothing', async (_what, body, status, code) => {
    const server = await aServerWithAnEmptyNode()
    const answer = await rebalance(server, body)
    expect([answer.status, answer.json.code]).toEqual([status, code])
    expect(answer.json.detail).toEqual(expect.any(String))
    expect(server.cluster.world.rebalances).toEqual([])
  })

  test.each(['-1', '1001', 'many'])('refuses a plan of %s moves', async (moves) => {
    const server = await anApiServer(['n1'])
    const { status, json } = await call(server, { path: `/v1/rebalance?moves=${moves}` })
    expect([status, json.code]).toEqual([400, 'invalid-request'])
    expect(json.detail).toContain('moves')
  })

  test('refuses a node that is not there, and one that cannot take the task', async () => {
    const server = await aServerWithAnEmptyNode()
    const { task } = (await planned(server))[0]!
    const nowhere = await rebalance(server, { moves: [{ task, to: 'n9' }] })
    expect([nowhere.status, nowhere.json.code, nowhere.json.detail]).toEqual([
      404,
      'node-not-found',
      'there is no node n9',
    ])
    change(server.cluster, { kind: 'set-availability', node: 'n3', availability: 'drain' })
    const drained = await rebalance(server, { moves: [{ task, to: 'n3' }] })
    expect([drained.status, drained.json.detail]).toEqual([
      409,
      `n3 cannot take ${task}: availability; nothing was changed. \`berth rebalance\` makes a new plan`,
    ])
    expect(server.cluster.world.rebalances).toEqual([])
  })

  test('refuses a second one, and an undo, while one is under way', async () => {
    const server = await aServerWithAnEmptyNode()
    const moves = await planned(server)
    server.pause()
    expect((await rebalance(server, { moves })).status).toBe(200)
    for (const answer of [await rebalance(server, { moves }), await undo(server)]) {
      expect([answer.status, answer.json.code]).toEqual([409, 'conflict'])
      expect(answer.json.detail).toContain('rebalance 1 is under way, 2 moves left')
    }
    server.resume()
    await isOver(server)
    expect(server.cluster.world.rebalances).toHaveLength(1)
  })
})

describe('/v1/rebalance/undo', () => {
  test('is refused where there is nothing to take back, and with figures that mean nothing', async () => {
    const server = await aServerWithAnEmptyNode()
    const nothing = await undo(server)
    expect([nothing.status, nothing.json.code]).toEqual([409, 'conflict'])
    expect(nothing.json.detail).toContain('there is no rebalance to take back')
    for (const body of [{ atOnce: 0 }, { atOnce: 'two' }, { number: 1 }]) {
      expect((await undo(server, body)).json.code).toBe('invalid-request')
    }
  })

  test('is refused whole when one of its nodes cannot take its task back', async () => {
    const server = await aServerWithAnEmptyNode()
    await rebalance(server, { moves: await planned(server) })
    await isOver(server)
    await until(() => String(perNode(server)) === '2,2,2')
    server.pause()
    change(server.cluster, { kind: 'set-availability', node: 'n1', availability: 'drain' })
    const { status, json } = await undo(server)
    expect([status, json.code]).toEqual([409, 'conflict'])
    expect(json.detail).toMatch(/^rebalance 1 cannot be taken back, the world has moved on: n1 cannot take \S+ back: /)
    expect(json.detail).toContain('Nothing was changed')
    expect(server.cluster.world.rebalances).toHaveLength(1)
  })
})
