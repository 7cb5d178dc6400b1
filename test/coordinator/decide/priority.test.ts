import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { eventsOf } from '../../../coordinator/decide/events.ts'
import { LONG_WAIT_MS } from '../../../coordinator/decide/waiters.ts'
import type { Decision, Task } from '../../../coordinator/world.ts'
import {
  aCluster,
  agentOf,
  beat,
  type Cluster,
  change,
  connect,
  heartbeat,
  plugIn,
  restartCoordinator,
  run,
  running,
  unplug,
  work,
} from '../../build/cluster.ts'
import { holdPreemptionRules } from '../../build/preemption-rules.ts'
import { aStackSpec, type ServiceSpecGiven } from '../../build/spec.ts'

const LOW = { priority: 25, cpuCores: 2 }
const HIGH = { priority: 75, cpuCores: 2 }

function deploy(cluster: Cluster, services: Record<string, ServiceSpecGiven>): void {
  change(cluster, { kind: 'deploy-stack', spec: aStackSpec('s', services), prune: false })
}

/** Two nodes of four cores, full of tasks of low priority that run. */
function fullOf(low: ServiceSpecGiven = LOW, replicas = 4): Cluster {
  const cluster = aCluster(['n1', 'n2'])
  deploy(cluster, { low: { ...low, replicas } })
  run(cluster, 10_000)
  expect(running(cluster, 's_low')).toHaveLength(replicas)
  return cluster
}

function preemptions(decisions: readonly Decision[]) {
  return decisions.flatMap((made) => (made.kind === 'stop-task' && made.preempted ? [made] : []))
}

function waiting(cluster: Cluster, service: string): Task[] {
  return [...cluster.world.tasksWaiting].filter((task) => task.service === service)
}

describe('a task of high priority comes to a full cluster', () => {
  test('one of low priority stops for it, is told why, is queued again, and comes back when the other leaves', () => {
    const cluster = fullOf()
    deploy(cluster, { high: { ...HIGH, replicas: 1 } })
    const [made, ...more] = preemptions(beat(cluster))
    expect(more).toEqual([])
    const [high] = waiting(cluster, 's_high')
    expect(made!.why).toBe(`preempted by ${high!.id} (priority 75) for 2 CPU`)
    expect(high!.nomination).toMatchObject({ node: made!.preempted!.lacked.node, victims: [made!.task] })
    run(cluster, 10_000)
    expect(running(cluster, 's_high').map(({ node }) => node)).toEqual([made!.preempted!.lacked.node])
    expect(waiting(cluster, 's_low')).toMatchObject([{ preempted: { task: made!.task, by: high!.id } }])
    change(cluster, { kind: 'scale-service', service: 's_high', replicas: 0 })
    run(cluster, 10_000)
    expect(running(cluster, 's_low')).toHaveLength(4)
    expect(preemptions(cluster.decided)).toHaveLength(1)
  })

  test('a service gives up no more at a time than it can spare', () => {
    const cluster = fullOf({ ...LOW, preemption: { tasksMax: 1 } })
    deploy(cluster, { high: { ...HIGH, replicas: 3 } })
    run(cluster, 30_000)
    expect(running(cluster, 's_high')).toHaveLength(1)
    expect(running(cluster, 's_low')).toHaveLength(3)
  })

  test('nobody slips into the room that its victims leave one by one', () => {
    const cluster = fullOf({ priority: 25, cpuCores: 2 })
    deploy(cluster, {
      high: { priority: 75, cpuCores: 4, replicas: 1 },
      small: { priority: 50, cpuCores: 1, replicas: 3 },
    })
    beat(cluster)
    const { node, victims } = waiting(cluster, 's_high')[0]!.nomination!
    expect(victims).toHaveLength(2)
    for (let step = 0; step < 20; step += 1) {
      run(cluster, 500)
      const there = running(cluster, 's_small').filter((task) => task.node === node)
      expect(there).toEqual([])
    }
    expect(running(cluster, 's_high')).toMatchObject([{ node }])
  })

  test('a coordinator that starts again half-way stops nobody else', () => {
    const cluster = fullOf()
    deploy(cluster, { high: { ...HIGH, replicas: 1 } })
    beat(cluster)
    restartCoordinator(cluster)
    beat(cluster)
    connect(cluster, 'n2')
    beat(cluster)
    cluster.now += 1_000
    connect(cluster, 'n1')
    run(cluster, 30_000)
    expect(running(cluster, 's_high')).toHaveLength(1)
    expect(preemptions(cluster.decided)).toHaveLength(1)
  })

  test('taken away again before its room is free, it leaves the room to its victims', () => {
    const cluster = fullOf()
    deploy(cluster, { high: { ...HIGH, replicas: 1 } })
    beat(cluster)
    change(cluster, { kind: 'scale-service', service: 's_high', replicas: 0 })
    run(cluster, 10_000)
    expect(running(cluster, 's_low')).toHaveLength(4)
    expect([...cluster.world.tasksWaiting]).toEqual([])
  })

  test('the node that was to be its own is lost: it has another one cleared', () => {
    const cluster = fullOf()
    deploy(cluster, { high: { ...HIGH, replicas: 1 } })
    beat(cluster)
    const { node } = waiting(cluster, 's_high')[0]!.nomination!
    unplug(cluster, node)
    run(cluster, 20_000)
    expect(running(cluster, 's_high')).toMatchObject([{ node: node === 'n1' ? 'n2' : 'n1' }])
  })

  test('room that comes free elsewhere first is taken', () => {
    const cluster = fullOf({ ...LOW, container: { stopGraceMs: 600_000 } })
    deploy(cluster, { high: { ...HIGH, replicas: 1 } })
    beat(cluster)
    const { node } = waiting(cluster, 's_high')[0]!.nomination!
    // The victim takes its time; another node joins.
    work(cluster, node)
    change(cluster, { kind: 'join-node', node: 'n3', keyFingerprint: 'key-n3' })
    cluster.agents.set('n3', {
      ...agentOf(cluster, 'n1'),
      name: 'n3',
      instance: null,
      revision: 0,
      wanted: new Map(),
      containers: new Map(),
    })
    connect(cluster, 'n3')
    beat(cluster)
    const placed = [...cluster.world.tasks.values()].find((task) => task.service === 's_high')
    expect(placed).toMatchObject({ node: 'n3' })
    expect(placed!.nomination).toBeUndefined()
  })

  test('a victim that does not stop in time is waited for no longer', () => {
    const cluster = fullOf({ ...LOW, cpuCores: 4 }, 2)
    deploy(cluster, { high: { ...HIGH, replicas: 1 } })
    beat(cluster)
    const { node } = waiting(cluster, 's_high')[0]!.nomination!
    const other = node === 'n1' ? 'n2' : 'n1'
    work(cluster, node)
    // From now on its Engine hangs, and its agent goes on speaking.
    for (let second = 0; second < 60; second += 1) {
      cluster.now += 1_000
      for (const name of ['n1', 'n2']) heartbeat(cluster, name)
      work(cluster, other)
      beat(cluster)
    }
    expect(preemptions(cluster.decided)).toHaveLength(2)
    expect(running(cluster, 's_high')).toMatchObject([{ node: other }])
  })

  test('two that come at once have a room each, and no more are stopped than for two', () => {
    const cluster = fullOf()
    deploy(cluster, { high: { ...HIGH, replicas: 1 }, higher: { ...HIGH, priority: 90, replicas: 1 } })
    run(cluster, 10_000)
    expect(running(cluster, 's_high')).toHaveLength(1)
    expect(running(cluster, 's_higher')).toHaveLength(1)
    expect(preemptions(cluster.decided)).toHaveLength(2)
  })

  test('with preemption off it waits; turned on, it no longer does', () => {
    const cluster = fullOf()
    change(cluster, { kind: 'set-cluster', settings: { preemption: false } })
    deploy(cluster, { high: { ...HIGH, replicas: 1 } })
    run(cluster, 10_000)
    expect(running(cluster, 's_high')).toEqual([])
    change(cluster, { kind: 'set-cluster', settings: { preemption: true } })
    run(cluster, 10_000)
    expect(running(cluster, 's_high')).toHaveLength(1)
  })

  test('a deployment that only raises a priority counts at once, for those that wait and for those that run', () => {
    const cluster = fullOf()
    deploy(cluster, { other: { ...LOW, replicas: 1 } })
    run(cluster, 5_000)
    expect(preemptions(cluster.decided)).toEqual([])
    deploy(cluster, { low: { ...LOW, priority: 0, replicas: 4 } })
    run(cluster, 10_000)
    expect(running(cluster, 's_other')).toHaveLength(1)
  })
})

describe('what is told', () => {
  test('both sides of a preemption have an event that names the other', () => {
    const cluster = fullOf()
    deploy(cluster, { high: { ...HIGH, replicas: 1 } })
    const at = cluster.now
    const decisions = beat(cluster)
    const told = decisions.flatMap((decision) => eventsOf(cluster.world, { at, decision }))
    const [victim] = preemptions(decisions)
    const { by, lacked } = victim!.preempted!
    expect(told.map(({ kind, message }) => ({ kind, message }))).toEqual(
      expect.arrayContaining([
        {
          kind: 'task-preempted',
          message: `${victim!.task} on ${lacked.node} is preempted by ${by} (priority 75) for 2 CPU; it is queued again`,
        },
        {
          kind: 'task-nominated',
          message: `${by} (priority 75) gets room on ${lacked.node}: a task of lower priority stopped for it (${victim!.task})`,
        },
      ]),
    )
  })

  test('a wait of five minutes is told once for its service, with why nobody makes room', () => {
    const cluster = fullOf()
    deploy(cluster, { late: { ...LOW, replicas: 3 } })
    run(cluster, 2 * LONG_WAIT_MS, 1_000)
    const told = cluster.decided.filter((decision) => decision.kind === 'tell-wait')
    expect(told).toMatchObject([{ tasks: 3, why: 'no lower priority to preempt where it could go (its own is 25)' }])
  })

  test('when the one by which a long wait was told gets its place, it is told by the next in the same beat', () => {
    const cluster = aCluster(['n1', 'n2'])
    change(cluster, { kind: 'set-availability', node: 'n2', availability: 'drain' })
    deploy(cluster, { late: { cpuCores: 4, replicas: 3 } })
    run(cluster, LONG_WAIT_MS + 10_000, 1_000)
    expect(waiting(cluster, 's_late')).toHaveLength(2)
    change(cluster, { kind: 'set-availability', node: 'n2', availability: 'active' })
    const told = beat(cluster).filter((decision) => decision.kind === 'tell-wait')
    expect(told).toMatchObject([{ task: waiting(cluster, 's_late')[0]?.id, tasks: 1 }])
  })
})

// ---------------------------------------------------------------- crowded clusters

const crowd = fc.record({
  replicas: fc.integer({ min: 0, max: 4 }),
  cpuCores: fc.constantFrom(0.5, 1, 2, 3),
  priority: fc.constantFrom<number>(0, 25, 50, 75, 100),
  preemption: fc.constantFrom(undefined, undefined, { tasksMax: 0 }, { tasksMax: 1 }),
  volumes: fc.constantFrom<string[]>([], [], ['data']),
  global: fc.constantFrom(false, false, false, true),
  update: fc.record({ order: fc.constantFrom('stop-first' as const, 'start-first' as const) }),
})

/** A name for what a failure prints. */
function crowdDeploy(services: Record<string, ServiceSpecGiven>): (cluster: Cluster) => void {
  const act = (cluster: Cluster) => deploy(cluster, services)
  return Object.assign(act, { toString: () => `deploy ${JSON.stringify(services)}` })
}

const crowdAct: fc.Arbitrary<(cluster: Cluster) => void> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd'), crowd, { minKeys: 1 }).map(crowdDeploy),
  },
  fc.constantFrom('n1', 'n2').map((node) => (cluster: Cluster) => unplug(cluster, node)),
  fc.constantFrom('n1', 'n2').map((node) => (cluster: Cluster) => plugIn(cluster, node)),
  fc.constant(restartCoordinator),
  fc.constant((cluster: Cluster) => plugIn(cluster, 'n1')),
  {
    weight: 6,
    arbitrary: fc.constantFrom(500, 1_000, 4_000).map((ms) => (cluster: Cluster) => {
      for (let passed = 0; passed < ms; passed += 500) {
        const before = cluster.decided.length
        run(cluster, 500)
        holdPreemptionRules(cluster.world, cluster.decided.slice(before))
      }
    }),
  },
)

const RUNS = Number(process.env.BERTH_TEST_RUNS ?? 150)

test('in a crowded cluster no rule is broken, and once nothing else happens nobody is preempted any more', {
  timeout: 60_000 + 100 * RUNS,
}, () => {
  let preempted = 0
  fc.assert(
    fc.property(fc.array(crowdAct, { maxLength: 25 }), (acts) => {
      const cluster = fullOf()
      for (const does of acts) {
        does(cluster)
        const decisions = beat(cluster)
        holdPreemptionRules(cluster.world, decisions)
      }
      for (const node of ['n1', 'n2']) plugIn(cluster, node)
      run(cluster, 60_000, 1_000)
      const before = cluster.decided.length
      run(cluster, 60_000, 1_000)
      holdPreemptionRules(cluster.world, [])
      expect(preemptions(cluster.decided.slice(before))).toEqual([])
      preempted += preemptions(cluster.decided).length
    }),
    { numRuns: RUNS },
  )
  expect(preempted, 'the test is about something').toBeGreaterThan(RUNS / 5)
})
