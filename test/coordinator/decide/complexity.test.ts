/**
 * What the control loop looks at, for a fleet and for one ten times as large. Ten times the nodes and tasks must not cost a hundred
 * times; what concerns one task must not cost more the more others there are.
 */
import { expect, test } from 'vitest'
import { decide } from '../../../coordinator/decide/decide.ts'
import { addMarks, marksOf, newMarks } from '../../../coordinator/decide/marks.ts'
import { decideInRounds } from '../../../coordinator/rounds.ts'
import { apply } from '../../../coordinator/store/apply.ts'
import type { Change, Observation, WorldValue } from '../../../coordinator/world.ts'
import { hasEnded } from '../../../shared/task-state.ts'
import { aCluster, type Cluster, change, restartCoordinator, run } from '../../build/cluster.ts'
import { aStackSpec } from '../../build/spec.ts'
import { stepsOf } from '../../build/steps.ts'
import { connectedBy } from '../../build/wire.ts'
import { anEngine, anInventory } from '../../build/world.ts'

const SMALL = 12
const TASKS_PER_NODE = 10
const TASKS_PER_SERVICE = 20

function names(nodes: number): string[] {
  return Array.from({ length: nodes }, (_, index) => `n${index + 1}`)
}

/** Services of one size each, so that a larger fleet has more of them. */
function deployment(nodes: number): Change {
  const services = Array.from({ length: (nodes * TASKS_PER_NODE) / TASKS_PER_SERVICE }, (_, index) => [
    `s${index}`,
    { replicas: TASKS_PER_SERVICE },
  ])
  return { kind: 'deploy-stack', spec: aStackSpec('shop', Object.fromEntries(services)) } as Change
}

function settled(nodes: number): Cluster {
  const cluster = aCluster(names(nodes), { cpuCores: 64 })
  change(cluster, deployment(nodes))
  run(cluster, 20_000, 2_000)
  expect(cluster.world.servicesInMotion.size).toBe(0)
  return cluster
}

/** What the loop does with values that come together: marks, applies, decides. */
function beatWith({ world, now, settings }: Cluster, values: readonly WorldValue[]): number {
  const marks = { due: newMarks() }
  const take = (value: WorldValue) => {
    addMarks(marks.due, marksOf(world, value))
    apply(world, value)
  }
  return stepsOf(() => {
    for (const value of values) take(value)
    decideInRounds({ decide }, world, marks, now, settings, (decision) => take({ at: now, decision }))
  })
}

const seen = (at: number, observation: Observation): WorldValue => ({ at, observation })

/** Steps for a fleet, and for one ten times as large. */
function atBothSizes(stepsFor: (nodes: number) => number): { small: number; large: number } {
  return { small: stepsFor(SMALL), large: stepsFor(10 * SMALL) }
}

test('to place everything on ten times the nodes costs about ten times', () => {
  const { small, large } = atBothSizes((nodes) => {
    const cluster = aCluster(names(nodes), { cpuCores: 64 })
    const value = { at: cluster.now, change: deployment(nodes) }
    const steps = beatWith(cluster, [value])
    expect(cluster.world.tasks.size).toBe(nodes * TASKS_PER_NODE)
    expect([...cluster.world.tasks.values()].every(({ node }) => node !== null)).toBe(true)
    return steps
  })
  expect(large / small).toBeLessThan(30)
})

test('a task that ends costs its service, and a look at each node, whatever others run', () => {
  const { small, large } = atBothSizes((nodes) => {
    const cluster = settled(nodes)
    const task = [...cluster.world.tasks.values()][0]!
    const { attempt } = task.observed
    const ended = { task: task.id, spec: 'x', attempt, state: 'failed' as const, since: cluster.now, exitCode: 1 }
    const engine = anEngine()
    const observation: Observation = {
      kind: 'tasks',
      node: task.node!,
      full: false,
      revision: 1,
      engine,
      tasks: [ended],
      gone: [],
    }
    const steps = beatWith(cluster, [seen(cluster.now, observation)])
    expect(hasEnded(task.observed.state)).toBe(true)
    return steps
  })
  expect(large / small).toBeLessThan(15)
})

test('a fleet of ten times the size that is as it was comes back for ten times the steps, and gives nothing to look at', () => {
  const { small, large } = atBothSizes((nodes) => {
    const cluster = settled(nodes)
    restartCoordinator(cluster)
    beatWith(cluster, [])
    const { now, world } = cluster
    let steps = 0
    for (const { name, assignmentRevision: revision } of world.nodes.values()) {
      const inventory = anInventory({ hostname: name, ...cluster.agents.get(name)!.inventory })
      const hello = { node: name, instance: `again-${name}`, inventory, revision, at: now }
      const tasks = [...cluster.agents.get(name)!.containers.values()]
      const marks = newMarks()
      steps += stepsOf(() => {
        for (const observation of [
          connectedBy(hello, now),
          { kind: 'tasks', node: name, full: true, revision, engine: anEngine(), tasks, gone: [] },
        ] satisfies Observation[]) {
          addMarks(marks, marksOf(world, seen(now, observation)))
          apply(world, seen(now, observation))
        }
      })
      expect(marks).toEqual(newMarks())
    }
    return steps
  })
  expect(large / small).toBeLessThan(15)
})

test('a node that is lost costs its tasks a new place each, and not everybody a look', () => {
  const { small, large } = atBothSizes((nodes) => {
    const cluster = settled(nodes)
    const { now, world } = cluster
    const instance = world.nodes.get('n1')!.connection!.instance
    const away: Observation = { kind: 'disconnected', node: 'n1', instance, why: 'gone', goodbye: false }
    apply(world, seen(now, away))
    cluster.now += cluster.settings.agentGraceMs + 1
    for (const name of names(nodes).slice(1)) {
      world.nodes.get(name)!.heard = { ...world.nodes.get(name)!.heard, lastAt: cluster.now, lastBeatAt: cluster.now }
    }
    const before = [...world.tasksByNode.get('n1')!].length
    const steps = beatWith(cluster, [])
    expect(before).toBe(TASKS_PER_NODE)
    expect(world.nodes.get('n1')!.status.name).toBe('lost')
    expect([...world.tasks.values()].filter(({ createdAt }) => createdAt === cluster.now).length).toBe(before)
    return steps
  })
  expect(large / small).toBeLessThan(15)
})

test('a service that fails on ten times the nodes is judged in about ten times the steps', () => {
  const { small, large } = atBothSizes((nodes) => {
    const cluster = aCluster(names(nodes), { cpuCores: 64 })
    const spec = aStackSpec('shop', { web: { replicas: nodes * TASKS_PER_NODE } })
    change(cluster, { kind: 'deploy-stack', spec, prune: true })
    run(cluster, 20_000, 2_000)
    // All but those of the last node have ended soon after their start, again and again.
    const failing = [...cluster.world.tasks.values()].filter(({ node }) => node !== `n${nodes}`)
    const values = failing.map(({ id, node, observed: { attempt } }) => {
      const task = { task: id, spec: '', attempt, state: 'restarting' as const, since: cluster.now, failures: 5 }
      const told = { kind: 'tasks' as const, full: false, revision: 0, engine: anEngine(), tasks: [task], gone: [] }
      return seen(cluster.now, { ...told, node: node! })
    })
    const steps = beatWith(cluster, values)
    expect(cluster.world.servicesFailing).toEqual(new Set(['shop_web']))
    return steps
  })
  expect(large / small).toBeLessThan(15)
})
