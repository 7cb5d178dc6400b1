import { describe, expect, test } from 'vitest'
import { admit } from '../../../coordinator/decide/admit.ts'
import type { Change, World } from '../../../coordinator/world.ts'
import type { Affinity, Constraint, Taint } from '../../../shared/spec.ts'
import { anAffinity, aPort, aStackSpec, GiB, type ServiceSpecGiven } from '../../build/spec.ts'
import { aNode, aService, aTaint, aTask, aVersion, aWorld, nodes, versionMap } from '../../build/world.ts'

const world = aWorld({
  nodes: nodes(2),
  services: [
    aService({ shortName: 'web' }),
    aService({ shortName: 'log', spec: { global: true } }),
    aService({
      shortName: 'api',
      version: 2,
      versions: versionMap(aVersion(1), aVersion(2, { image: 'example/api:2' })),
    }),
  ],
})

function deploy(services: Record<string, ServiceSpecGiven>, given = world) {
  return admit(given, { kind: 'deploy-stack', spec: aStackSpec('shop', services), prune: false })
}

function constraint(attribute: string, operator: Constraint['operator'], value: string) {
  return { attribute, operator, value }
}

describe('what cannot be is refused with a code and a sentence', () => {
  const cases: [string, Change, string, RegExp][] = [
    ['an unknown stack', { kind: 'remove-stack', stack: 'x' }, 'stack-not-found', /no stack x; stacks are shop/],
    [
      'an unknown service',
      { kind: 'scale-service', service: 'x', replicas: 1 },
      'service-not-found',
      /shop_api, shop_log/,
    ],
    ['an unknown node', { kind: 'set-availability', node: 'x', availability: 'drain' }, 'node-not-found', /n1, n2/],
    [
      'scaling a global service',
      { kind: 'scale-service', service: 'shop_log', replicas: 2 },
      'invalid-request',
      /global/,
    ],
    ['a fraction of a task', { kind: 'scale-service', service: 'shop_web', replicas: 1.5 }, 'invalid-request', /whole/],
    ['too many tasks', { kind: 'scale-service', service: 'shop_web', replicas: 1e9 }, 'invalid-request', /1000000/],
    ['a rollback to nowhere', { kind: 'rollback-service', service: 'shop_web' }, 'conflict', /no version before/],
    [
      'a name that is taken',
      { kind: 'join-node', node: 'n1', keyFingerprint: 'other' },
      'name-taken',
      /berth node rm n1/,
    ],
    ['a name that is none', { kind: 'join-node', node: 'A b', keyFingerprint: 'k' }, 'invalid-request', /cannot be/],
  ]
  test.each(cases)('%s', (_name, change, code, message) => {
    expect(admit(world, change)).toMatchObject({ ok: false, code, message: expect.stringMatching(message) })
  })
})

describe('a stack is refused', () => {
  test('when it names no service', () => {
    expect(deploy({})).toMatchObject({ ok: false, code: 'invalid-request' })
  })

  test('when it gives its containers a label that is Berth’s own', () => {
    const answer = deploy({ web: { container: { labels: { 'berth.task': 'shop_db.1.x' } } } })
    expect(answer).toMatchObject({ ok: false, code: 'invalid-request', details: { label: 'berth.task' } })
  })

  test('when a service depends on one that is not there', () => {
    const answer = deploy({ front: { dependsOn: { nobody: 'service_started' } } })
    expect(answer).toMatchObject({ ok: false, details: { service: 'shop_front', dependency: 'nobody' } })
  })

  test('when services depend on each other in a circle', () => {
    const answer = deploy({ a: { dependsOn: { b: 'service_started' } }, b: { dependsOn: { a: 'service_started' } } })
    expect(answer).toMatchObject({ ok: false, details: { circle: ['a', 'b', 'a'] } })
  })

  test('when two constraints contradict each other', () => {
    const both = [constraint('node.labels.zone', '==', 'a'), constraint('node.labels.zone', '!=', 'a')]
    expect(deploy({ web: { placement: { constraints: both } } })).toMatchObject({ ok: false, code: 'invalid-request' })
  })

  test('when it reserves more than any node has even when empty', () => {
    const answer = deploy({ web: { memoryBytes: 100 * GiB } })
    expect(answer).toMatchObject({ ok: false, message: expect.stringContaining('100.0 GiB') })
    expect(deploy({ web: { memoryBytes: 100 * GiB } }, aWorld())).toMatchObject({ ok: true })
    // A node that joined but never spoke may be of any size.
    const unknown = aWorld({ nodes: [aNode(), { ...aNode({ name: 'n2' }), inventory: null }] })
    expect(deploy({ web: { memoryBytes: 100 * GiB } }, unknown)).toMatchObject({ ok: true })
  })

  test('when a service publishes one host port twice', () => {
    expect(deploy({ web: { ports: [aPort(80), aPort(80)] } })).toMatchObject({ ok: false, code: 'port-taken' })
  })
})

describe('what may come right is admitted with a warning', () => {
  test('a constraint that no node meets yet', () => {
    const constraints = [constraint('node.labels.disk', '==', 'ssd')]
    const answer = deploy({ web: { placement: { constraints } } })
    expect(answer).toMatchObject({ ok: true, warnings: [expect.stringContaining('no node meets its constraints')] })
  })

  test('more tasks for a host port than nodes', () => {
    const answer = deploy({ web: { replicas: 3, ports: [aPort(80)] } })
    expect(answer).toMatchObject({ ok: true, warnings: [expect.stringContaining('host port 80')] })
  })

  test('a cluster without a node', () => {
    expect(deploy({ web: {} }, aWorld())).toMatchObject({ ok: true, warnings: [expect.stringContaining('no node')] })
  })
})

test('ordinary changes are admitted without a word', () => {
  const changes: Change[] = [
    { kind: 'rollback-service', service: 'shop_api' },
    { kind: 'remove-node', node: 'n1' },
    { kind: 'join-node', node: 'n1', keyFingerprint: 'key-of-n1' },
    { kind: 'label-node', node: 'n1', set: { 'disk.kind': 'ssd' }, remove: [] },
  ]
  for (const change of changes) expect(admit(world, change)).toEqual({ ok: true, warnings: [] })
  expect(deploy({ web: {} })).toEqual({ ok: true, warnings: [] })
})

test('a node is removed only when no container would be left there with nobody in charge', () => {
  const remove = { kind: 'remove-node' as const, node: 'n1' }
  const withTask = (given: Parameters<typeof aTask>[0], node = aNode({ name: 'n1' })) =>
    admit(aWorld({ nodes: [node], services: [aService()], tasks: [aTask({ node: 'n1', ...given })] }), remove)
  expect(withTask({})).toMatchObject({
    ok: false,
    code: 'conflict',
    message: expect.stringContaining('berth drain n1'),
  })
  // Still stopping is not stopped.
  expect(withTask({ desired: 'stopped', state: 'stopping' })).toMatchObject({ ok: false })
  expect(withTask({ state: 'completed' })).toMatchObject({ ok: true })
  // A host that is gone will not come back to be asked.
  expect(withTask({}, aNode({ name: 'n1', connection: null }))).toMatchObject({ ok: true })
})

describe('a stack whose placement could never come right is refused', () => {
  const told = (services: Parameters<typeof deploy>[0], world?: World) => {
    const answer = deploy(services, world)
    return answer.ok ? null : answer.message
  }
  const near = (...affinity: Affinity[]) => ({ placement: { affinity } })

  test('with constraints that no node can meet together, in words', () => {
    const constraints = [constraint('node.labels.a', '>', '5'), constraint('node.labels.a', '<', '3')]
    expect(told({ web: { placement: { constraints } } })).toBe(
      'shop_web: no node can meet both node.labels.a > 5 and node.labels.a < 3',
    )
    expect(told({ web: { placement: { constraints: [constraint('node.role', '==', 'manager')] } } })).toBe(
      'shop_web: no node can meet node.role == manager; every node is a worker',
    )
  })

  test('with an affinity and an anti-affinity to one service in one place', () => {
    expect(told({ web: near(anAffinity('db'), anAffinity('db', { anti: true })), db: {} })).toBe(
      'shop_web: no place can be both near shop_db and away from it, over node.name',
    )
    const zone = { over: 'node.labels.zone' }
    expect(told({ web: near(anAffinity('db', zone), anAffinity('db', { anti: true })), db: {} })).toBe(null)
    expect(told({ web: near(anAffinity('db'), anAffinity('db', { anti: true, required: false })), db: {} })).toBe(null)
  })

  test('with an affinity to a service that wants to be away from it, also one that is deployed already', () => {
    const message =
      'shop_web wants to be near shop_db, and shop_db wants to be away from it, over node.name: no place could be right'
    const shy = near(anAffinity('web', { anti: true }))
    expect(told({ web: near(anAffinity('db')), db: shy })).toBe(message)
    expect(
      told(
        { web: near(anAffinity('db')) },
        aWorld({ nodes: [aNode()], services: [aService({ shortName: 'db', spec: shy })] }),
      ),
    ).toBe(message)
  })

  test('with services that wait in a circle for each other’s first task', () => {
    expect(told({ a: near(anAffinity('b')), b: near(anAffinity('a')) })).toMatch(
      /in a circle.*: shop_a → shop_b → shop_a$/,
    )
    expect(told({ a: near(anAffinity('b')), b: { dependsOn: { a: 'service_started' } } })).toMatch(
      /shop_a → shop_b → shop_a$/,
    )
    expect(told({ a: near(anAffinity('a')) })).toBe(null)
    expect(told({ a: near(anAffinity('b')), b: near(anAffinity('a', { required: false })) })).toBe(null)
  })

  test('with a resource that no node has, or too few of it, and what was probably meant', () => {
    const gpus = aWorld({ nodes: [aNode({ generic: { gpu: 2 } }), aNode({ name: 'n2' })] })
    expect(told({ web: { generic: { gpus: 1 } } }, gpus)).toBe(
      'shop_web reserves 1 gpus, more than any node has (at most 0 gpus); start the agent of a node that has it with --resource gpus=1; did you mean "gpu"?',
    )
    expect(told({ web: { generic: { gpu: 3 } } }, gpus)).toBe(
      'shop_web reserves 3 gpu, more than any node has (at most 2 gpu); reserve less or add a larger node',
    )
    expect(told({ web: { container: { deviceRequests: [{ count: -1, capabilities: ['gpu'] }] } } }, gpus)).toBe(null)
  })

  test('with more than any node may promise after its reserve, or with all of it only on different nodes', () => {
    const cpu = { overcommit: { cpu: 2 }, reserve: { cpuCores: 1 } }
    const world = aWorld({
      nodes: [aNode({ cpuCores: 2, ...cpu }), aNode({ name: 'n2', cpuCores: 1, memoryBytes: 32 * GiB })],
    })
    expect(told({ web: { cpuCores: 3 } }, world)).toBe(null)
    expect(told({ web: { cpuCores: 3.5 } }, world)).toBe(
      'shop_web reserves 3.5 cores, more than any node has (at most 3 cores); reserve less or add a larger node',
    )
    expect(told({ web: { cpuCores: 3, memoryBytes: 16 * GiB } }, world)).toMatch(
      /reserves 3 cores and 16\.0 GiB memory, more than any node has together/,
    )
  })

  test('and what may come right is warned about', () => {
    const warnings = (services: Parameters<typeof deploy>[0], world?: World) => {
      const answer = deploy(services, world)
      return answer.ok ? answer.warnings : answer.message
    }
    expect(warnings({ web: near(anAffinity('data_db')) })).toEqual([
      'shop_web: there is no service data_db now, so its tasks wait until it has one',
    ])
    expect(warnings({ web: near(anAffinity('shop_dbb', { anti: true })), dba: {} })).toEqual([
      'shop_web: there is no service shop_dbb now, so there is nothing to keep away from yet; did you mean "shop_dba"?',
    ])
    expect(warnings({ web: { replicas: 3, ...near(anAffinity('web', { anti: true })) } })).toEqual([
      'shop_web: 3 tasks want a node each, but there are 2 nodes; the rest will wait',
    ])
    const tainted = aWorld({ nodes: [aNode({ taints: ['gpu:no-schedule'] })] })
    expect(warnings({ web: {} }, tainted)).toEqual([
      'shop_web: every node has a taint that it does not tolerate; its tasks will wait',
    ])
  })
})

describe('a node is not set', () => {
  const world = () => aWorld({ nodes: [aNode({ cpuCores: 4, taints: ['gpu=yes:no-schedule'] })] })
  const told = (asked: Change) => {
    const answer = admit(world(), asked)
    return answer.ok ? null : answer.message
  }
  const taint = (set: Taint[], remove: { key: string }[] = []) => told({ kind: 'taint-node', node: 'n1', set, remove })
  const set = (reserve: object, overcommit: object = {}) => told({ kind: 'set-node', node: 'n1', reserve, overcommit })

  test('to taints whose key cannot be one, or without those it does not have', () => {
    expect(taint([aTaint('a/b.c=x:no-execute')])).toBe(null)
    expect(taint([{ key: 'a b', value: '', effect: 'no-execute' }])).toMatch(/"a b" cannot be the key of a taint/)
    expect(taint([], [{ key: 'gpu' }])).toBe(null)
    expect(taint([], [{ key: 'slow' }])).toBe('n1 has no taint slow; it has gpu')
    expect(taint([])).toBe('no taints of n1 are named; write it like berth node taint n1 gpu=yes:no-schedule')
  })

  test('to factors beyond reason, or a reserve that leaves nothing', () => {
    expect(set({ cpuCores: 3.5, memoryBytes: GiB }, { disk: 0.8 })).toBe(null)
    expect(set({}, { cpu: 0 })).toBe('cpu cannot be overcommitted by 0; give a factor from 0.01 to 100')
    expect(set({}, { memory: 1000 })).toMatch(/memory cannot be overcommitted by 1000/)
    expect(set({ cpuCores: 4 })).toBe(
      'n1 would have nothing left of CPU to promise: it keeps back 4 CPU of 4 CPU; "berth drain n1" keeps tasks away',
    )
    expect(set({})).toBe('no settings of n1 are named; write it like berth node set n1 cpu-overcommit=1.5')
    expect(told({ kind: 'set-node', node: 'n9', reserve: {}, overcommit: {} })).toMatch(/there is no node n9/)
  })

  test('nor a cluster to nothing', () => {
    expect(told({ kind: 'set-cluster', settings: {} })).toMatch(/no setting of the cluster is named/)
    expect(told({ kind: 'set-cluster', settings: { preemption: false } })).toBe(null)
  })
})
