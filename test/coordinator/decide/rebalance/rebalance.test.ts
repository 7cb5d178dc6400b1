import { expect, test } from 'vitest'
import { admit } from '../../../../coordinator/decide/admit.ts'
import { planRebalance } from '../../../../coordinator/decide/rebalance/plan.ts'
import { beginRebalance, REBALANCES_MAX } from '../../../../coordinator/store/apply-rebalance.ts'
import { loadWorld } from '../../../../coordinator/store/records.ts'
import type { Write } from '../../../../coordinator/store/store.ts'
import type { Change, World } from '../../../../coordinator/world.ts'
import {
  aCluster,
  agentOf,
  beat,
  type Cluster,
  change,
  connect,
  join,
  restartCoordinator,
  run,
  running,
  say,
  store,
  unplug,
} from '../../../build/cluster.ts'
import { aStackSpec, type ServiceSpecGiven } from '../../../build/spec.ts'
import { aHostLoad } from '../../../build/world.ts'

function deploy(cluster: Cluster, services: Record<string, ServiceSpecGiven>): void {
  change(cluster, { kind: 'deploy-stack', spec: aStackSpec('s', services), prune: true })
}

/** All tasks stand on n1 and n2, and n3 has joined since. */
function aClusterWithANewNode(services: Record<string, ServiceSpecGiven>): Cluster {
  const cluster = aCluster(['n1', 'n2', 'n3'])
  change(cluster, { kind: 'set-availability', node: 'n3', availability: 'drain' })
  deploy(cluster, services)
  run(cluster, 15_000)
  change(cluster, { kind: 'set-availability', node: 'n3', availability: 'active' })
  run(cluster, 2_000)
  return cluster
}

function plan(cluster: Cluster, movesMax = 20) {
  return planRebalance(cluster.world, { now: cluster.now, movesMax, placedBefore: cluster.now })
}

function perNode({ world }: Cluster, service: string): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const task of world.tasksByService.get(service) ?? []) {
    if (task.desired === 'running' && task.node) counts[task.node] = (counts[task.node] ?? 0) + 1
  }
  return counts
}

function ask(cluster: Cluster, asked: Change): void {
  const admission = admit(cluster.world, asked)
  if (!admission.ok) throw new Error(admission.message)
  change(cluster, asked)
}

function apply(cluster: Cluster, atOnce = 2): void {
  const moves = plan(cluster).moves.map(({ task, to }) => ({ task, to }))
  ask(cluster, { kind: 'rebalance', moves, atOnce })
}

const last = ({ world }: Cluster) => world.rebalances.at(-1)!
const states = (cluster: Cluster) => last(cluster).moves.map(({ state }) => state)

test('after a node joined, tasks of a spread service are to go there until they are even', () => {
  const cluster = aClusterWithANewNode({ web: { replicas: 6 } })
  const { moves, isCut } = plan(cluster)
  expect(moves.map(({ from, to }) => [from, to])).toEqual([
    ['n1', 'n3'],
    ['n2', 'n3'],
  ])
  expect(moves[0]).toMatchObject({
    policy: 'spread',
    figures: { from: { tasksOfService: 2 }, to: { tasksOfService: 0 } },
  })
  expect(isCut).toBe(false)
})

test('a plan changes nothing, and there is none for what is even already', () => {
  const cluster = aClusterWithANewNode({ web: { replicas: 6 } })
  const before = JSON.stringify([...cluster.world.tasks])
  plan(cluster)
  expect(JSON.stringify([...cluster.world.tasks])).toBe(before)
  const even = aCluster(['n1', 'n2', 'n3'])
  deploy(even, { web: { replicas: 6 }, api: { replicas: 3, cpuCores: 0.5 } })
  run(even, 15_000)
  expect(plan(even).moves).toEqual([])
})

test('after the moves of a plan there is nothing left to move', () => {
  const cluster = aClusterWithANewNode({
    web: { replicas: 7 },
    api: { replicas: 4, cpuCores: 0.5 },
    one: { replicas: 1 },
  })
  apply(cluster)
  run(cluster, 60_000)
  expect(new Set(states(cluster))).toEqual(new Set(['done']))
  expect(plan(cluster).moves).toEqual([])
})

test('moves are bounded, and what gains most comes first', () => {
  const cluster = aClusterWithANewNode({ few: { replicas: 4 }, many: { replicas: 12 } })
  const { moves } = plan(cluster, 3)
  expect(moves).toHaveLength(3)
  expect(moves[0]!.service).toBe('s_many')
  expect(moves.map(({ gain }) => gain)).toEqual(moves.map(({ gain }) => gain).toSorted((a, b) => b - a))
})

test.each([
  ['has a volume on its node', { db: { replicas: 4, volumes: ['data'] } }],
  ['is global', { log: { global: true } }],
] satisfies [string, Record<string, ServiceSpecGiven>][])(
  'a service that %s is left where it is',
  (_what, services) => {
    expect(plan(aClusterWithANewNode(services)).moves).toEqual([])
  },
)

test('a task goes only where the checks let it go', () => {
  const cluster = aClusterWithANewNode({
    web: { replicas: 6, placement: { constraints: [{ attribute: 'node.labels.disk', operator: '!=', value: 'hdd' }] } },
  })
  expect(plan(cluster).moves).toHaveLength(2)
  change(cluster, { kind: 'label-node', node: 'n3', set: { disk: 'hdd' }, remove: [] })
  expect(plan(cluster).moves).toEqual([])
})

test('tasks that are to be spread over a label are evened out over its values first', () => {
  const cluster = aCluster(['n1', 'n2', 'n3', 'n4'])
  for (const node of ['n3', 'n4']) change(cluster, { kind: 'set-availability', node, availability: 'drain' })
  for (const [node, zone] of [
    ['n1', 'a'],
    ['n2', 'a'],
    ['n3', 'a'],
    ['n4', 'b'],
  ]) {
    change(cluster, { kind: 'label-node', node: node!, set: { zone: zone! }, remove: [] })
  }
  deploy(cluster, { web: { replicas: 4, placement: { spreadOver: ['node.labels.zone'] } } })
  run(cluster, 15_000)
  for (const node of ['n3', 'n4']) change(cluster, { kind: 'set-availability', node, availability: 'active' })
  run(cluster, 2_000)
  const { moves } = plan(cluster)
  expect(moves.map(({ to, groups }) => ({ to, groups }))).toEqual([
    { to: 'n4', groups: { from: 3, to: 0 } },
    { to: 'n4', groups: { from: 2, to: 1 } },
  ])
})

test('each move is start-first: no fewer tasks run at any time, and only so many move at once', () => {
  const cluster = aClusterWithANewNode({ web: { replicas: 12 } })
  apply(cluster, 2)
  let movingMost = 0
  for (let step = 0; step < 60; step += 1) {
    run(cluster, 500)
    expect(running(cluster, 's_web').length).toBeGreaterThanOrEqual(12)
    movingMost = Math.max(movingMost, states(cluster).filter((state) => state === 'moving').length)
  }
  expect(movingMost).toBe(2)
  expect(last(cluster)).toMatchObject({ state: 'done', why: null })
  expect(perNode(cluster, 's_web')).toEqual({ n1: 4, n2: 4, n3: 4 })
  expect(running(cluster, 's_web')).toHaveLength(12)
})

test('slots keep their numbers', () => {
  const cluster = aClusterWithANewNode({ web: { replicas: 6 } })
  apply(cluster)
  run(cluster, 30_000)
  expect(
    running(cluster, 's_web')
      .map(({ slot }) => slot)
      .toSorted(),
  ).toEqual([1, 2, 3, 4, 5, 6])
})

test('the first failure stops it: no further moves begin, and the task stays where it was', () => {
  const cluster = aClusterWithANewNode({ web: { replicas: 12 } })
  apply(cluster, 1)
  const first = last(cluster).moves[0]!
  run(cluster, 1_000)
  const [replacement] = agentOf(cluster, 'n3').containers.values()
  expect(replacement?.state).toBe('pulling')
  say(cluster, 'n3', false, [Object.assign(replacement!, { state: 'failed' })], [])
  run(cluster, 5_000)
  expect(last(cluster).state).toBe('stopped')
  expect(last(cluster).why).toContain(`on n3 failed`)
  expect(states(cluster).filter((state) => state === 'skipped').length).toBeGreaterThan(0)
  expect(cluster.world.tasks.get(first.task)?.moveTo).toBeUndefined()
  expect(running(cluster, 's_web')).toHaveLength(12)
})

test('a rebalance to a node that cannot take its tasks is refused, and nothing is moved', () => {
  const cluster = aClusterWithANewNode({ web: { replicas: 6, cpuCores: 1 } })
  const moves = plan(cluster).moves.map(({ task, to }) => ({ task, to }))
  expect(admit(cluster.world, { kind: 'rebalance', moves, atOnce: 2 })).toMatchObject({ ok: true })
  deploy(cluster, { web: { replicas: 6, cpuCores: 1 }, big: { replicas: 1, cpuCores: 4 } })
  run(cluster, 15_000)
  expect(admit(cluster.world, { kind: 'rebalance', moves, atOnce: 2 })).toMatchObject({
    ok: false,
    code: 'conflict',
    message: `n3 cannot take ${moves[0]!.task}: cpu; nothing was changed. \`berth rebalance\` makes a new plan`,
    details: { to: 'n3', refusal: { check: 'cpu' } },
  })
})

test('each move of a rebalance counts where it goes: two that need the same room are refused', () => {
  const cluster = aClusterWithANewNode({ web: { replicas: 2, cpuCores: 3 } })
  const moves = running(cluster, 's_web').map(({ id }) => ({ task: id, to: 'n3' }))
  expect(admit(cluster.world, { kind: 'rebalance', moves: moves.slice(0, 1), atOnce: 2 })).toMatchObject({ ok: true })
  expect(admit(cluster.world, { kind: 'rebalance', moves, atOnce: 2 })).toMatchObject({
    ok: false,
    message: expect.stringMatching(/^n3 cannot take s_web\.\S+: cpu; nothing was changed/),
  })
})

test('a move whose room goes on the way is skipped with the reason, and its task stays', () => {
  const cluster = aClusterWithANewNode({ web: { replicas: 6 } })
  apply(cluster, 1)
  beat(cluster)
  expect(states(cluster)).toEqual(['moving', 'waiting'])
  change(cluster, {
    kind: 'taint-node',
    node: 'n3',
    set: [{ key: 'full', value: '', effect: 'no-schedule' }],
    remove: [],
  })
  run(cluster, 30_000)
  expect(last(cluster).moves[1]).toMatchObject({ state: 'skipped', why: 'n3 cannot take it any more: taint' })
  expect(running(cluster, 's_web')).toHaveLength(6)
})

test.each([1, 2, 5])(
  'a move waits for the room that an earlier one leaves, and so does taking it back; %i at once',
  (atOnce) => {
    const cluster = aClusterWithANewNode({ a: { replicas: 1, cpuCores: 3 }, b: { replicas: 1, cpuCores: 3 } })
    const nodes = () => ['s_a', 's_b'].map((service) => running(cluster, service).map(({ node }) => node))
    const [[a], [b]] = [running(cluster, 's_a'), running(cluster, 's_b')]
    const before = nodes()
    const moves = [
      { task: a!.id, to: 'n3' },
      { task: b!.id, to: a!.node! },
    ]
    ask(cluster, { kind: 'rebalance', moves, atOnce })
    run(cluster, 60_000)
    expect([last(cluster).state, states(cluster)]).toEqual(['done', ['done', 'done']])
    expect(nodes()).toEqual([['n3'], [a!.node]])
    ask(cluster, { kind: 'undo-rebalance', atOnce })
    run(cluster, 60_000)
    expect([last(cluster).state, states(cluster)]).toEqual(['done', ['done', 'done']])
    expect(nodes()).toEqual(before)
  },
)

test('two moves that begin together are not promised the same room', () => {
  const two = { replicas: 1, cpuCores: 2 }
  const cluster = aClusterWithANewNode({ a: two, b: two })
  const onN3 = { constraints: [{ attribute: 'node.name', operator: '==' as const, value: 'n3' }] }
  deploy(cluster, { a: two, b: two, x: { ...two, placement: onN3 } })
  run(cluster, 15_000)
  deploy(cluster, { a: two, b: two, x: two })
  run(cluster, 15_000)
  const [a, b, x] = ['s_a', 's_b', 's_x'].map((service) => running(cluster, service)[0]!)
  expect(x!.node).toBe('n3')
  const moves = [
    { task: x!.id, to: a!.node! },
    { task: a!.id, to: 'n3' },
    { task: b!.id, to: 'n3' },
  ]
  ask(cluster, { kind: 'rebalance', moves, atOnce: 3 })
  beat(cluster)
  // n3 has room for two beside x.
  expect(states(cluster)).toEqual(['moving', 'moving', 'waiting'])
  beat(cluster)
  expect(states(cluster)).toEqual(['moving', 'moving', 'waiting'])
  run(cluster, 60_000)
  expect([last(cluster).state, states(cluster)]).toEqual(['done', ['done', 'done', 'done']])
})

test('a host that is lost on the way fails the move, and all tasks run in the end', () => {
  const cluster = aClusterWithANewNode({ web: { replicas: 6 } })
  apply(cluster, 1)
  beat(cluster)
  unplug(cluster, 'n3')
  run(cluster, 400_000, 1_000)
  expect(last(cluster).state).toBe('stopped')
  expect(running(cluster, 's_web')).toHaveLength(6)
  expect([...cluster.world.tasks.values()].filter(({ moveTo }) => moveTo !== undefined)).toEqual([])
})

test('a deployment on the way takes precedence, and nothing is left that wants to move', () => {
  const cluster = aClusterWithANewNode({ web: { replicas: 12, update: { parallelism: 4 } } })
  apply(cluster, 1)
  run(cluster, 1_000)
  deploy(cluster, { web: { replicas: 12, image: 'example/b:2', update: { parallelism: 4 } } })
  run(cluster, 120_000)
  expect(last(cluster).state).not.toBe('moving')
  expect(running(cluster, 's_web')).toHaveLength(12)
  expect([...cluster.world.tasks.values()].filter(({ moveTo }) => moveTo !== undefined)).toEqual([])
  expect(cluster.world.services.get('s_web')!.rollout.state).toBe('settled')
})

test('a coordinator that is killed on the way goes on with it', () => {
  const cluster = aClusterWithANewNode({ web: { replicas: 12 } })
  apply(cluster, 2)
  run(cluster, 1_000)
  restartCoordinator(cluster)
  for (const name of ['n1', 'n2', 'n3']) connect(cluster, name)
  run(cluster, 60_000)
  expect(last(cluster).state).toBe('done')
  expect(perNode(cluster, 's_web')).toEqual({ n1: 4, n2: 4, n3: 4 })
})

test('undo brings the tasks back to where they were', () => {
  const cluster = aClusterWithANewNode({ web: { replicas: 6 } })
  apply(cluster)
  run(cluster, 30_000)
  expect(perNode(cluster, 's_web')).toEqual({ n1: 2, n2: 2, n3: 2 })
  ask(cluster, { kind: 'undo-rebalance', atOnce: 2 })
  run(cluster, 30_000)
  expect(last(cluster)).toMatchObject({ by: 'undo', undoes: 1, state: 'done' })
  expect(perNode(cluster, 's_web')).toEqual({ n1: 3, n2: 3 })
})

test.each([
  [
    'a task has moved on',
    (cluster: Cluster) => deploy(cluster, { web: { replicas: 6, image: 'example/b:2' } }),
    /^rebalance 1 cannot be taken back, the world has moved on: .*Nothing was changed/,
  ],
  [
    'a node is drained since',
    (cluster: Cluster) => change(cluster, { kind: 'set-availability', node: 'n1', availability: 'drain' }),
    /^rebalance 1 cannot be taken back, the world has moved on: n1 cannot take s_web\S+ back: availability\. Nothing was changed/,
  ],
  [
    'a node is lost since',
    (cluster: Cluster) => {
      unplug(cluster, 'n1')
      run(cluster, 120_000, 1_000)
    },
    /the world has moved on: n1 cannot take s_web\S+ back: liveness\. Nothing was changed/,
  ],
  [
    'another one is under way',
    (cluster: Cluster) => ask(cluster, { kind: 'undo-rebalance', atOnce: 1 }),
    /^rebalance 2 is under way, 2 moves left/,
  ],
])('an undo is refused when %s', (_what, act, words) => {
  const cluster = aClusterWithANewNode({ web: { replicas: 6 } })
  apply(cluster)
  run(cluster, 30_000)
  act(cluster)
  expect(admit(cluster.world, { kind: 'undo-rebalance', atOnce: 2 })).toMatchObject({
    ok: false,
    code: 'conflict',
    message: expect.stringMatching(words),
  })
})

test('an undo is refused when others have taken the room', () => {
  const web = { replicas: 6, cpuCores: 1 }
  const cluster = aClusterWithANewNode({ web })
  apply(cluster)
  run(cluster, 30_000)
  const onN1 = { constraints: [{ attribute: 'node.name', operator: '==' as const, value: 'n1' }] }
  deploy(cluster, { web, other: { replicas: 1, cpuCores: 2, placement: onN1 } })
  run(cluster, 15_000)
  const before = perNode(cluster, 's_web')
  expect(admit(cluster.world, { kind: 'undo-rebalance', atOnce: 2 })).toMatchObject({
    ok: false,
    code: 'conflict',
    message: expect.stringMatching(/moved on: n1 cannot take s_web\S+ back: cpu\. Nothing was changed/),
    details: { rebalance: 1 },
  })
  expect(perNode(cluster, 's_web')).toEqual(before)
})

test('what cannot be moved is refused with the reason, and nothing is changed', () => {
  const cluster = aClusterWithANewNode({ web: { replicas: 2 }, db: { replicas: 1, volumes: ['data'] } })
  const web = running(cluster, 's_web')[0]!
  const db = running(cluster, 's_db')[0]!
  const refusedFor = (moves: { task: string; to: string }[], atOnce = 2) => {
    const admission = admit(cluster.world, { kind: 'rebalance', moves, atOnce })
    return admission.ok ? null : admission.message
  }
  expect(refusedFor([])).toContain('no move is named')
  expect(refusedFor([{ task: 'nobody', to: 'n3' }])).toContain('there is no task nobody any more')
  expect(refusedFor([{ task: web.id, to: 'n9' }])).toBe('there is no node n9')
  expect(refusedFor([{ task: web.id, to: web.node! }])).toContain(`is on ${web.node} already`)
  expect(refusedFor([{ task: db.id, to: 'n3' }])).toContain('its volume is on its node')
  expect(
    refusedFor([
      { task: web.id, to: 'n3' },
      { task: web.id, to: 'n3' },
    ]),
  ).toContain('is named twice')
  expect(refusedFor([{ task: web.id, to: 'n3' }], 0)).toContain('0 moves at once')
  expect(admit(cluster.world, { kind: 'undo-rebalance', atOnce: 1 })).toMatchObject({
    ok: false,
    message: expect.stringContaining('there is no rebalance to take back'),
  })
})

test('on its own account it moves within its budget, and not what has just been placed', () => {
  const cluster = aClusterWithANewNode({ web: { replicas: 12 } })
  change(cluster, { kind: 'set-cluster', settings: { rebalance: { auto: true, movesPerHour: 3 } } })
  run(cluster, 300_000, 5_000)
  // Its tasks are younger than ten minutes.
  expect(cluster.world.rebalances).toEqual([])
  run(cluster, 900_000, 5_000)
  const moved = () =>
    cluster.world.rebalances.flatMap(({ moves }) => moves).filter(({ state }) => state === 'done').length
  expect(moved()).toBe(3)
  run(cluster, 3_600_000, 10_000)
  expect(moved()).toBe(4)
  expect(perNode(cluster, 's_web')).toEqual({ n1: 4, n2: 4, n3: 4 })
})

test('on its own account it moves others where those that were just moved would gain most', () => {
  const cluster = aCluster(['n1'])
  deploy(cluster, { web: { replicas: 8 } })
  run(cluster, 660_000, 5_000)
  change(cluster, { kind: 'set-cluster', settings: { rebalance: { auto: true, movesPerHour: 100 } } })
  join(cluster, 'n2')
  run(cluster, 1_200_000, 5_000)
  expect(perNode(cluster, 's_web')).toEqual({ n1: 4, n2: 4 })
  join(cluster, 'n3')
  run(cluster, 600_000, 5_000)
  // All on n2 rest for an hour.
  expect(perNode(cluster, 's_web')).toEqual({ n1: 2, n2: 4, n3: 2 })
})

test('without being told to, nothing moves by itself', () => {
  const cluster = aClusterWithANewNode({ web: { replicas: 12 } })
  run(cluster, 1_800_000, 10_000)
  expect(perNode(cluster, 's_web')).toEqual({ n1: 6, n2: 6 })
})

test('what is stored comes back', () => {
  const cluster = aClusterWithANewNode({ web: { replicas: 6 } })
  apply(cluster)
  run(cluster, 1_000)
  const stored: World = loadWorld(cluster.stored.values())
  expect(stored.rebalances).toEqual(cluster.world.rebalances)
  expect([...stored.tasks.values()].map(({ id, moveTo }) => [id, moveTo])).toEqual(
    [...cluster.world.tasks.values()].map(({ id, moveTo }) => [id, moveTo]),
  )
})

test('each rebalance is a record of its own, and so many of them are kept, in the store as in the world', () => {
  const cluster = aCluster(['n1'])
  for (let count = 0; count < REBALANCES_MAX + 3; count++) {
    const writes: Write[] = []
    beginRebalance(cluster.world, { by: 'auto', undoes: null, atOnce: 1, moves: [] }, cluster.now, writes)
    expect(writes.length, 'one, and the oldest goes').toBeLessThanOrEqual(2)
    for (const write of writes) store(cluster.stored, write)
  }
  const numbers = cluster.world.rebalances.map(({ number }) => number)
  expect([numbers[0], numbers.at(-1)]).toEqual([4, REBALANCES_MAX + 3])
  expect(loadWorld(cluster.stored.values()).rebalances).toEqual(cluster.world.rebalances)
})

test.each([1, 4, 10, 25])(
  'load that comes and goes every %i minutes for an hour moves no task back and forth',
  (minutes) => {
    const cluster = aCluster(['n1', 'n2', 'n3', 'n4'])
    change(cluster, { kind: 'set-cluster', settings: { policy: 'least-loaded' } })
    change(cluster, { kind: 'set-availability', node: 'n4', availability: 'drain' })
    deploy(cluster, { wave: { replicas: 6 }, calm: { replicas: 6 } })
    const beganAt = cluster.now
    const isHigh = () => Math.floor((cluster.now - beganAt) / 60_000 / minutes) % 2 === 0
    const coresOf = (task: string) => (task.startsWith('s_wave') ? (isHigh() ? 1.2 : 0.02) : 0.1)
    cluster.loadOf = ({ containers }) => {
      const loads = [...containers.values()]
        .filter(({ state }) => state === 'running')
        .map(({ task }) => ({ task, cpuCoresUsed: coresOf(task), memoryBytesUsed: 50e6 }))
      const cpuCoresUsed = loads.reduce((sum, each) => sum + each.cpuCoresUsed, 0.1)
      return { load: aHostLoad({ cpuCoresUsed }), containers: loads }
    }
    run(cluster, 900_000, 2_000)
    change(cluster, { kind: 'set-availability', node: 'n4', availability: 'active' })
    change(cluster, { kind: 'set-cluster', settings: { rebalance: { auto: true, movesPerHour: 20 } } })
    run(cluster, 3_600_000, 2_000)
    const moves = cluster.world.rebalances.flatMap((each) => each.moves).filter(({ state }) => state === 'done')
    expect(Object.values(perNode(cluster, 's_wave')).sort(), 'the node that was empty has its share').toEqual([
      1, 1, 2, 2,
    ])
    const slots = moves.map(({ service, slot }) => `${service}.${slot}`)
    expect(new Set(slots).size, 'no task is moved twice').toBe(slots.length)
    expect(slots.length).toBeLessThanOrEqual(2)
  },
)
