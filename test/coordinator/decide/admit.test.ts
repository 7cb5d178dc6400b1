import { describe, expect, test } from 'vitest'
import { admit } from '../../../coordinator/decide/admit.ts'
import type { Change } from '../../../coordinator/world.ts'
import { aPort, aStackSpec, GiB, type ServiceSpecGiven } from '../../build/spec.ts'
import { aNode, aService, aTask, aVersion, aWorld, nodes, versionMap } from '../../build/world.ts'

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

function constraint(attribute: string, operator: '==' | '!=', value: string) {
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
