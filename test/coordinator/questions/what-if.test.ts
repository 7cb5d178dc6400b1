import { describe, expect, test } from 'vitest'
import { type Supposition, whatIf } from '../../../coordinator/questions/what-if.ts'
import type { World } from '../../../coordinator/world.ts'
import { BerthError } from '../../../shared/errors.ts'
import { GiB } from '../../build/spec.ts'
import { aNode, aService, aTask, aWorld, NOW } from '../../build/world.ts'

const NOTHING: Supposition = { lose: [], loseLabels: [], add: [], scale: [] }
const ask = (world: World, supposed: Partial<Supposition>) => whatIf(world, { ...NOTHING, ...supposed }, NOW)

/** Three nodes of 8 GiB in two zones; web (2 of 3 GiB) on n1 and n2, db with its volume on n3, agent everywhere. */
function aShop(): World {
  const zones = { n1: 'a', n2: 'b', n3: 'b' }
  return aWorld({
    nodes: Object.entries(zones).map(([name, zone]) => aNode({ name, operatorLabels: { zone } })),
    services: [
      aService({ shortName: 'web', spec: { replicas: 2, memoryBytes: 3 * GiB } }),
      aService({ shortName: 'db', spec: { volumes: ['data'] }, homes: new Map([[1, 'n3']]) }),
      aService({ shortName: 'agent', spec: { global: true } }),
    ],
    tasks: [
      aTask({ id: 'shop_web.1.a', slot: 1, node: 'n1' }),
      aTask({ id: 'shop_web.2.a', slot: 2, node: 'n2' }),
      aTask({ id: 'shop_db.1.a', service: 'shop_db', node: 'n3' }),
      ...['n1', 'n2', 'n3'].map((node) =>
        aTask({ id: `shop_agent.0.${node}`, service: 'shop_agent', slot: 0, node, onlyNode: node }),
      ),
    ],
  })
}

const told = (changes: ReturnType<typeof whatIf>['changes']) =>
  changes.map(({ service, slot, kind, from, to }) => `${service}.${slot} ${kind} ${from ?? '-'} ${to ?? '-'}`)

describe('a node is lost', () => {
  test('its tasks move to where there is room', () => {
    const { changes, stopped, interrupted } = ask(aShop(), { lose: ['n1'] })
    expect(told(changes)).toEqual(['shop_agent.0 stop n1 -', 'shop_web.1 move n1 n3'])
    expect({ stopped, interrupted }).toEqual({ stopped: [], interrupted: [] })
  })

  test('a service whose volume is there stops, and where it lives is told', () => {
    const { changes, stopped } = ask(aShop(), { lose: ['n3'] })
    expect(told(changes)).toContain('shop_db.1 displace n3 -')
    expect(stopped).toEqual([{ service: 'shop_db', volume: 'data', nodes: ['n3'] }])
  })

  test('all with a label are lost together; what finds no room says by how much', () => {
    const world = aShop()
    world.services.get('shop_web')!.versions.get(1)!.spec.task.container.resources.reservation.memoryBytes = 5 * GiB
    const { lost, changes, stopped } = ask(world, { loseLabels: [{ label: 'zone', value: 'b' }] })
    expect(lost).toEqual(['n2', 'n3'])
    const displaced = changes.find(({ service, kind }) => service === 'shop_web' && kind === 'displace')
    const memory = displaced?.refusals.find(({ check }) => check === 'memory')
    expect(memory).toEqual({ node: 'n1', check: 'memory', figures: { neededBytes: 5 * GiB, freeBytes: 3 * GiB } })
    expect(stopped.map(({ service }) => service)).toEqual(['shop_db'])
  })

  test('a service that has all its tasks there loses its last one for a moment', () => {
    const world = aShop()
    world.services.get('shop_web')!.versions.get(1)!.spec.mode = { kind: 'replicated', replicas: 1 }
    const only = ask(world, { scale: [{ service: 'shop_web', replicas: 1 }], lose: ['n2'] })
    expect(only.interrupted).toEqual([])
    const alone = aWorld({
      nodes: [aNode({ name: 'n1' }), aNode({ name: 'n2' })],
      services: [aService({ shortName: 'web' })],
      tasks: [aTask({ node: 'n1' })],
    })
    expect(ask(alone, { lose: ['n1'] }).interrupted).toEqual(['shop_web'])
  })

  test('when nobody is left it is said that nothing would be given up', () => {
    expect(ask(aShop(), { lose: ['n1', 'n2', 'n3'] }).isNobodyLeft).toBe(true)
  })
})

test('nodes are added together with what else is supposed, and take what has no room', () => {
  const world = aShop()
  const scale = [{ service: 'shop_web', replicas: 9 }]
  const without = ask(world, { scale })
  expect(without.changes.filter(({ kind }) => kind === 'wait')).toHaveLength(3)
  const add = [{ cpuCores: 8, memoryBytes: 16 * GiB, os: 'linux', arch: 'amd64', labels: {}, count: 2 }]
  const withNodes = ask(world, { scale, add })
  expect(withNodes.added).toEqual(['new-1', 'new-2'])
  expect(withNodes.changes.filter(({ kind }) => kind === 'wait')).toEqual([])
  expect(told(withNodes.changes)).toContain('shop_agent.0 place - new-1')
})

test('what is under way anyhow is not told as if it came of the supposition', () => {
  const rolling = aService({
    shortName: 'web',
    version: 2,
    rollout: { state: 'rolling', version: 2, from: 1, startedAt: NOW - 1000, failures: [] },
    spec: { image: 'example/web:2' },
  })
  rolling.versions.set(1, aService({ spec: { image: 'example/web:1' } }).versions.get(1)!)
  const world = aWorld({
    nodes: [aNode({ name: 'n1' }), aNode({ name: 'n2' })],
    services: [rolling, aService({ shortName: 'db' })],
    tasks: [aTask({ node: 'n1' }), aTask({ id: 'shop_db.1.a', service: 'shop_db', node: 'n2' })],
  })
  const { changes } = ask(world, { scale: [{ service: 'shop_db', replicas: 2 }] })
  expect(changes.map(({ service }) => service)).toEqual(['shop_db'])
})

test.each<[string, Partial<Supposition>, string, RegExp]>([
  ['an unknown node', { lose: ['n9'] }, 'node-not-found', /no node n9; nodes are n1, n2, n3/],
  [
    'a label that no node has',
    { loseLabels: [{ label: 'zone', value: 'x' }] },
    'invalid-request',
    /nodes have zone a, b/,
  ],
  ['an unknown service', { scale: [{ service: 'shop_x', replicas: 1 }] }, 'service-not-found', /no service shop_x/],
  ['scaling a global one', { scale: [{ service: 'shop_agent', replicas: 1 }] }, 'invalid-request', /is global/],
  [
    'two counts for one service',
    {
      scale: [
        { service: 'shop_web', replicas: 1 },
        { service: 'shop_web', replicas: 3 },
      ],
    },
    'invalid-request',
    /to 1 and to 3 at the same time/,
  ],
  ['nothing at all', {}, 'invalid-request', /say what should be supposed/],
])('%s is refused with a sentence', (_what, supposed, code, message) => {
  const world = aShop()
  try {
    ask(world, supposed)
    expect.unreachable()
  } catch (error) {
    expect(error).toBeInstanceOf(BerthError)
    expect((error as BerthError).code).toBe(code)
    expect((error as BerthError).message).toMatch(message)
  }
})

test('a node that is lost already cannot be supposed to be', () => {
  const world = aShop()
  world.nodes.get('n1')!.status = { name: 'lost', since: NOW, why: 'silent' }
  expect(() => ask(world, { lose: ['n1'] })).toThrow(/n1 is lost already/)
})
